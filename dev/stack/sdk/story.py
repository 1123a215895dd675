"""What a caller of the unmodified OpenAI SDK for Python sees of the gateway: one JSON object, checked by
tests/it/system_sdk.rs. story.mjs does the same in Node."""

import json
import os

import openai

MODEL = "anthropic/claude-haiku-4.5"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "type": "function",
    "function": {
        "name": "say",
        "description": "Says something.",
        "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
    },
}

client = openai.OpenAI()
poor = openai.OpenAI(api_key=os.environ["POOR_API_KEY"])
limited = openai.OpenAI(api_key=os.environ["LIMITED_API_KEY"], max_retries=0)
stranger = openai.OpenAI(api_key="lyr_live_" + "A" * 43)


def says(wishes, **more):
    return {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": f"simulate: {wishes}"}], **more}


def whole():
    raw = client.chat.completions.with_raw_response.create(**says("prompt_tokens=20 completion_tokens=30"))
    answer = raw.parse()
    return {
        "content": answer.choices[0].message.content,
        "finish_reason": answer.choices[0].finish_reason,
        "prompt_tokens": answer.usage.prompt_tokens,
        "completion_tokens": answer.usage.completion_tokens,
        "cost": answer.usage.model_extra["cost"],
        "cost_credits": answer.usage.model_extra["cost_credits"],
        "header": raw.headers["x-layers-cost-credits"],
        "request_id": answer._request_id,
    }


def streamed(**options):
    stream = client.chat.completions.create(**says("prompt_tokens=20 completion_tokens=30", stream=True, **options))
    chunks = list(stream)
    usage = next((chunk.usage for chunk in chunks if chunk.usage), None)
    choices = [chunk.choices[0] for chunk in chunks if chunk.choices]
    return {
        "content": "".join(choice.delta.content or "" for choice in choices),
        "finish_reason": choices[-1].finish_reason,
        "completion_tokens": usage and usage.completion_tokens,
        "cost": usage and usage.model_extra["cost"],
        "cost_credits": usage and usage.model_extra["cost_credits"],
        "request_id": stream.response.headers["x-request-id"],
    }


def tool_whole():
    request = says("completion_tokens=9 tool_call=1", tools=[TOOL], tool_choice="required")
    message = client.chat.completions.create(**request).choices[0].message
    call = message.tool_calls[0]
    # The tool's answer goes back with the call, as the SDK hands it out.
    result = {"role": "tool", "tool_call_id": call.id, "content": "said"}
    then = {"role": "user", "content": "simulate: completion_tokens=8"}
    request["messages"] += [message.model_dump(exclude_none=True), result, then]
    after = client.chat.completions.create(**{**request, "tool_choice": "auto"})
    return {
        "content": message.content,
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments),
        "after": after.choices[0].finish_reason,
    }


def tool_streamed():
    request = says("completion_tokens=9 tool_call=1 chunks=4", tools=[TOOL])
    name, arguments, ids, finish_reason = "", "", [], None
    for chunk in client.chat.completions.create(**request, stream=True):
        for choice in chunk.choices:
            finish_reason = choice.finish_reason or finish_reason
            for call in choice.delta.tool_calls or []:
                ids += [call.id] if call.id else []
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    # The SDK's own way of putting the pieces together.
    with client.chat.completions.stream(**request) as stream:
        final = stream.get_final_completion().choices[0].message.tool_calls[0].function
    return {
        "ids": len(ids),
        "name": name,
        "arguments": json.loads(arguments),
        "finish_reason": finish_reason,
        "final": [final.name, json.loads(final.arguments)],
    }


def image():
    parts = [
        {"type": "text", "text": "simulate: prompt_tokens=90 completion_tokens=5"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
    ]
    request = {"model": MODEL, "max_tokens": 50, "messages": [{"role": "user", "content": parts}]}
    answer = client.chat.completions.create(**request)
    chunks = list(client.chat.completions.create(**request, stream=True))
    return {
        "content": answer.choices[0].message.content,
        "prompt_tokens": answer.usage.prompt_tokens,
        "streamed": "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices),
    }


def models():
    listed = [model.id for model in client.models.list()]
    model = client.models.retrieve(MODEL)
    return {
        "listed": len(listed),
        "has_model": MODEL in listed,
        "id": model.id,
        "name": model.model_extra["name"],
        "input": model.model_extra["pricing"]["input"],
        "request_id": model._request_id,
    }


def error(call):
    try:
        call()
    except openai.APIError as error:
        body = error.body if isinstance(error.body, dict) else {}
        return {
            "class": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "type": error.type,
            "code": error.code,
            "param": error.param,
            "message": error.message,
            "credits_needed": body.get("credits_needed"),
            "request_id": getattr(error, "request_id", None),
        }
    return None


def limit_reached():
    for _ in range(12):
        if refused := error(lambda: limited.models.list()):
            return refused
    return None


def repeated():
    once = {"extra_headers": {"Idempotency-Key": "story.py"}}
    request = says("prompt_tokens=20 completion_tokens=30")
    first, again = (client.chat.completions.with_raw_response.create(**request, **once) for _ in range(2))
    once_streamed = {"extra_headers": {"Idempotency-Key": "story.py, streamed"}}
    streams = [list(client.chat.completions.create(**request, stream=True, **once_streamed)) for _ in range(2)]
    return {
        "replays": [raw.headers.get("x-layers-idempotent-replay") for raw in (first, again)],
        "request_ids": [raw.parse()._request_id for raw in (first, again)],
        "is_the_same": first.content == again.content,
        "is_the_same_stream": streams[0] == streams[1],
        "reused": error(lambda: client.chat.completions.create(**says("completion_tokens=1"), **once)),
    }


def broken_stream():
    heard = []

    def listen():
        for chunk in client.chat.completions.create(**says("chunks=8 error_after=3", stream=True)):
            heard.extend(choice.delta.content for choice in chunk.choices if choice.delta.content)

    return {"error": error(listen), "heard": len(heard)}


create = client.chat.completions.create
print(
    json.dumps(
        {
            "whole": whole(),
            "streamed": streamed(stream_options={"include_usage": True}),
            "streamed_without_usage": streamed(),
            "tool_whole": tool_whole(),
            "tool_streamed": tool_streamed(),
            "image": image(),
            "models": models(),
            "errors": {
                "stranger": error(lambda: stranger.models.list()),
                "poor": error(lambda: poor.chat.completions.create(**says("completion_tokens=1"))),
                "unknown_model": error(lambda: create(**{**says(""), "model": "openai/gpt-17"})),
                "unknown_model_retrieved": error(lambda: client.models.retrieve("openai/gpt-17")),
                "bad_request": error(lambda: create(**says("", n=0))),
                "limited": limit_reached(),
                "provider_failed": error(
                    lambda: client.with_options(max_retries=0).chat.completions.create(**says("status=500"))
                ),
            },
            "broken_stream": broken_stream(),
            "repeated": repeated(),
        }
    )
)
