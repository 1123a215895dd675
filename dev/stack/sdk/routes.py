"""What a caller of the unmodified OpenAI SDK for Python sees of the routes beside chat: one JSON object, checked by
tests/it/system_sdk_routes.rs. routes.mjs does the same in Node."""

import json

import openai

MODEL = "anthropic/claude-haiku-4.5"
EMBEDDING = "openai/text-embedding-3-small"
IMAGE = "bfl/flux-2-pro"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "type": "function",
    "name": "say",
    "description": "Says something.",
    "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    "strict": False,
}
SCHEMA = {
    "type": "json_schema",
    "name": "answer",
    "schema": {"type": "object", "properties": {"text": {"type": "string"}}},
}

client = openai.OpenAI()


def says(wishes, **more):
    return {"model": MODEL, "max_output_tokens": 100, "input": f"simulate: {wishes}", **more}


def usage(usage, request_id):
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cached": usage.input_tokens_details.cached_tokens,
        "cost": usage.model_extra["cost"],
        "cost_credits": usage.model_extra["cost_credits"],
        "request_id": request_id,
    }


def whole(**request):
    answer = client.responses.create(**says(**request))
    return {"text": answer.output_text, "status": answer.status, **usage(answer.usage, answer._request_id)}


def streamed(**request):
    stream = client.responses.create(**says(**request), stream=True)
    events = list(stream)
    last = events[-1].response
    return {
        "text": "".join(event.delta for event in events if event.type == "response.output_text.delta"),
        "status": last.status,
        "first": events[0].type,
        "last": events[-1].type,
        "ordered": [event.sequence_number for event in events] == list(range(len(events))),
        **usage(last.usage, stream.response.headers["x-request-id"]),
    }


def tool():
    request = says("completion_tokens=9 tool_call=1", tools=[TOOL])
    call = client.responses.create(**request).output[0]
    with client.responses.stream(**request) as stream:
        streamed = stream.get_final_response().output[0]
    # The tool's answer goes back with the call, as the SDK hands it out.
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "said"}
    then = {"role": "user", "content": "simulate: completion_tokens=8"}
    after = client.responses.create(**{**request, "input": [call.model_dump(exclude_none=True), result, then]})
    return {
        "name": call.name,
        "arguments": json.loads(call.arguments),
        "streamed": json.loads(streamed.arguments),
        "after": after.status,
    }


def image_in():
    content = [
        {"type": "input_text", "text": "simulate: prompt_tokens=90 completion_tokens=5"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}", "detail": "auto"},
    ]
    answer = client.responses.create(**{**says(""), "input": [{"role": "user", "content": content}]})
    return {"text": answer.output_text, **usage(answer.usage, answer._request_id)}


def embeddings():
    plain = client.embeddings.create(model=EMBEDDING, input="hello there")
    floats = client.embeddings.create(model=EMBEDDING, input="hello there", encoding_format="float")
    ignored = client.embeddings.create(model=EMBEDDING, input="simulate: floats=1")
    many = client.embeddings.create(model=EMBEDDING, input=["one", "two"], dimensions=8)
    tokens = client.embeddings.create(model=EMBEDDING, input=[[1, 2, 3], [4, 5]])
    return {
        "length": len(plain.data[0].embedding),
        "same": plain.data[0].embedding == floats.data[0].embedding,
        "ignored": len(ignored.data[0].embedding),
        "nonzero": any(ignored.data[0].embedding),
        "many": [len(item.embedding) for item in many.data],
        "tokens": tokens.usage.prompt_tokens,
        "input": plain.usage.prompt_tokens,
        "cost_credits": plain.usage.model_extra["cost_credits"],
        "request_id": plain._request_id,
    }


def images():
    made = client.images.generate(model=IMAGE, prompt="a red circle", n=2, size="1024x1024")
    return {
        "count": len(made.data),
        "is_png": all(image.b64_json.startswith("iVBOR") for image in made.data),
        "images": made.usage.model_extra["images"],
        "cost": made.usage.model_extra["cost"],
        "cost_credits": made.usage.model_extra["cost_credits"],
        "request_id": made._request_id,
    }


def error(call):
    try:
        call()
    except openai.APIError as error:
        return {
            "class": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "type": error.type,
            "code": error.code,
            "param": error.param,
        }
    return None


def broken():
    heard = []

    def listen():
        for event in client.responses.create(**says("chunks=8 error_after=3"), stream=True):
            heard.extend([event] if event.type == "response.output_text.delta" else [])

    return {"error": error(listen), "heard": len(heard)}


twenty = "prompt_tokens=20 completion_tokens=30 cached_tokens=4"
print(
    json.dumps(
        {
            "whole": whole(wishes=twenty),
            "streamed": streamed(wishes=twenty),
            "limited": whole(wishes="completion_tokens=1000", max_output_tokens=16),
            "limited_streamed": streamed(wishes="completion_tokens=1000", max_output_tokens=16),
            "thought": streamed(wishes="completion_tokens=30 reasoning_tokens=20"),
            "schema": whole(wishes="completion_tokens=3", text={"format": SCHEMA}),
            "tool": tool(),
            "image_in": image_in(),
            "embeddings": embeddings(),
            "images": images(),
            "broken": broken(),
            "errors": {
                "stored": error(lambda: client.responses.create(**says("", previous_response_id="resp_1"))),
                "hosted": error(lambda: client.responses.create(**says("", tools=[{"type": "web_search"}]))),
                "not_here": error(lambda: client.responses.create(**{**says(""), "model": EMBEDDING})),
                "no_chat": error(
                    lambda: client.chat.completions.create(
                        model=EMBEDDING, messages=[{"role": "user", "content": "hi"}]
                    )
                ),
                "no_embedding": error(lambda: client.embeddings.create(model=MODEL, input="hi")),
                "no_image": error(lambda: client.images.generate(model=EMBEDDING, prompt="hi")),
                "unknown_image": error(lambda: client.images.generate(model="bfl/none", prompt="hi")),
                "size": error(lambda: client.images.generate(model=IMAGE, prompt="hi", size="2048x2048")),
            },
        }
    )
)
