"""What a caller of the unmodified Anthropic SDK for Python sees of the gateway: one JSON object, checked by
tests/it/system_sdk_claude.rs."""

import json
import os

import anthropic

MODEL = "anthropic/claude-haiku-4.5"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
TOOL = {
    "name": "say",
    "description": "Says something.",
    "input_schema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
}

# The key goes in `x-api-key`.
client = anthropic.Anthropic(max_retries=0)
bearer = anthropic.Anthropic(api_key=None, auth_token=os.environ["ANTHROPIC_API_KEY"], max_retries=0)
poor = anthropic.Anthropic(api_key=os.environ["POOR_API_KEY"])
stranger = anthropic.Anthropic(api_key="lyr_live_" + "A" * 43)


def says(wishes, **more):
    return {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": f"simulate: {wishes}"}], **more}


def usage(usage, request_id):
    return {
        "input": usage.input_tokens,
        "output": usage.output_tokens,
        "cached": usage.cache_read_input_tokens,
        "written": usage.cache_creation_input_tokens,
        "cost": (usage.model_extra or {}).get("cost"),
        "cost_credits": (usage.model_extra or {}).get("cost_credits"),
        "request_id": request_id,
    }


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


def whole(wishes, client=client, **more):
    message = client.messages.create(**says(wishes, **more))
    return {
        "text": text(message),
        "blocks": [block.type for block in message.content],
        "stop_reason": message.stop_reason,
        **usage(message.usage, message._request_id),
    }


def streamed(wishes, **more):
    events = list(client.messages.create(**says(wishes, **more), stream=True))
    delta = next(event for event in events if event.type == "message_delta")
    # The SDK's own way of putting the pieces together.
    with client.messages.stream(**says(wishes, **more)) as stream:
        message = stream.get_final_message()
        request_id = stream.response.headers["request-id"]
    return {
        "text": text(message),
        "blocks": [block.type for block in message.content],
        "stop_reason": message.stop_reason,
        "last": events[-1].type,
        "delta_cost": delta.usage.model_extra["cost_credits"],
        "output_of_delta": delta.usage.output_tokens,
        **usage(message.usage, request_id),
    }


def tool():
    request = says("completion_tokens=9 tool_call=1", tools=[TOOL])
    message = client.messages.create(**request)
    call = message.content[0]
    with client.messages.stream(**request) as stream:
        streamed = stream.get_final_message().content[0]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "said"}]}
    then = {"type": "text", "text": "simulate: completion_tokens=8"}
    messages = [
        *request["messages"],
        {"role": "assistant", "content": [block.model_dump() for block in message.content]},
        {"role": "user", "content": [result, then]},
    ]
    after = client.messages.create(**{**request, "messages": messages})
    return {
        "name": call.name,
        "input": call.input,
        "streamed": streamed.input,
        "stop_reason": message.stop_reason,
        "after": after.stop_reason,
    }


def image_in():
    content = [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
        {"type": "text", "text": "simulate: prompt_tokens=90 completion_tokens=5"},
    ]
    message = client.messages.create(**{**says(""), "messages": [{"role": "user", "content": content}]})
    return {"text": text(message), **usage(message.usage, message._request_id)}


def error(call):
    try:
        call()
    except anthropic.APIError as error:
        body = error.body if isinstance(error.body, dict) else {}
        return {
            "class": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "shape": body.get("type"),
            "type": body.get("error", {}).get("type"),
            "code": body.get("error", {}).get("code"),
            "message": body.get("error", {}).get("message"),
            "request_id": getattr(error, "request_id", None),
        }
    return None


def broken():
    heard = []

    def listen():
        for event in client.messages.create(**says("chunks=8 error_after=3"), stream=True):
            heard.extend([event] if event.type == "content_block_delta" else [])

    return {"error": error(listen), "heard": len(heard)}


twenty = "prompt_tokens=200 completion_tokens=30 cached_tokens=40 cache_write_tokens=60"
padding = [{"type": "text", "text": "x" * 200, "cache_control": {"type": "ephemeral"}}]
print(
    json.dumps(
        {
            "whole": whole(twenty, system=padding),
            "bearer": whole("completion_tokens=1", client=bearer),
            "short": whole("completion_tokens=1", model="claude-haiku-4-5-20251001"),
            "streamed": streamed(twenty, system=padding),
            "limited": whole("completion_tokens=1000", max_tokens=16),
            "thought": streamed("completion_tokens=30 reasoning_tokens=20"),
            "tool": tool(),
            "image_in": image_in(),
            "broken": broken(),
            "models": [model.id for model in client.models.list()][:3],
            "errors": {
                "stranger": error(lambda: stranger.messages.create(**says(""))),
                "poor": error(lambda: poor.messages.create(**says("completion_tokens=1"))),
                "unknown_model": error(lambda: client.messages.create(**{**says(""), "model": "claude-17"})),
                "bad_request": error(lambda: client.messages.create(**says("", max_tokens=0))),
                "hosted": error(
                    lambda: client.messages.create(
                        **says("", tools=[{"type": "web_search_20250305", "name": "web_search"}])
                    )
                ),
                "hour": error(
                    lambda: client.messages.create(
                        **says("", system=[{**padding[0], "cache_control": {"type": "ephemeral", "ttl": "1h"}}])
                    )
                ),
                "provider_failed": error(lambda: client.messages.create(**says("status=500"))),
            },
        }
    )
)
