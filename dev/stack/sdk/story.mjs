// What a caller of the unmodified OpenAI SDK for Node sees of the gateway: one JSON object, checked by
// tests/it/system_sdk.rs. story.py does the same in Python.

import OpenAI from "openai";

const MODEL = "anthropic/claude-haiku-4.5";
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const TOOL = {
  type: "function",
  function: {
    name: "say",
    description: "Says something.",
    parameters: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
  },
};

const client = new OpenAI();
const poor = new OpenAI({ apiKey: process.env.POOR_API_KEY });
const limited = new OpenAI({ apiKey: process.env.LIMITED_API_KEY, maxRetries: 0 });
const stranger = new OpenAI({ apiKey: "lyr_live_" + "A".repeat(43) });

const says = (wishes, more = {}) => ({
  model: MODEL,
  max_tokens: 100,
  messages: [{ role: "user", content: `simulate: ${wishes}` }],
  ...more,
});

const create = (request, options) => client.chat.completions.create(request, options);

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

async function whole() {
  const { data: answer, response } = await create(says("prompt_tokens=20 completion_tokens=30")).withResponse();
  return {
    content: answer.choices[0].message.content,
    finish_reason: answer.choices[0].finish_reason,
    prompt_tokens: answer.usage.prompt_tokens,
    completion_tokens: answer.usage.completion_tokens,
    cost: answer.usage.cost,
    cost_credits: answer.usage.cost_credits,
    header: response.headers.get("x-layers-cost-credits"),
    request_id: answer._request_id,
  };
}

async function streamed(options = {}) {
  const request = says("prompt_tokens=20 completion_tokens=30", { stream: true, ...options });
  const { data: stream, response } = await create(request).withResponse();
  const chunks = await all(stream);
  const usage = chunks.find((chunk) => chunk.usage)?.usage;
  const choices = chunks.filter((chunk) => chunk.choices.length > 0).map((chunk) => chunk.choices[0]);
  return {
    content: choices.map((choice) => choice.delta.content ?? "").join(""),
    finish_reason: choices.at(-1).finish_reason,
    completion_tokens: usage?.completion_tokens ?? null,
    cost: usage?.cost ?? null,
    cost_credits: usage?.cost_credits ?? null,
    request_id: response.headers.get("x-request-id"),
  };
}

async function toolWhole() {
  const request = says("completion_tokens=9 tool_call=1", { tools: [TOOL], tool_choice: "required" });
  const message = (await create(request)).choices[0].message;
  const call = message.tool_calls[0];
  // The tool's answer goes back with the call, as the SDK hands it out.
  const result = { role: "tool", tool_call_id: call.id, content: "said" };
  const then = { role: "user", content: "simulate: completion_tokens=8" };
  const messages = [...request.messages, message, result, then];
  const after = await create({ ...request, messages, tool_choice: "auto" });
  return {
    content: message.content,
    name: call.function.name,
    arguments: JSON.parse(call.function.arguments),
    after: after.choices[0].finish_reason,
  };
}

async function toolStreamed() {
  const request = says("completion_tokens=9 tool_call=1 chunks=4", { tools: [TOOL] });
  let [name, args, ids, finishReason] = ["", "", 0, null];
  for await (const chunk of await create({ ...request, stream: true })) {
    for (const choice of chunk.choices) {
      finishReason = choice.finish_reason ?? finishReason;
      for (const call of choice.delta.tool_calls ?? []) {
        ids += call.id ? 1 : 0;
        name += call.function.name ?? "";
        args += call.function.arguments ?? "";
      }
    }
  }
  // The SDK's own way of putting the pieces together.
  const completion = await client.chat.completions.stream(request).finalChatCompletion();
  const final = completion.choices[0].message.tool_calls[0].function;
  return {
    ids,
    name,
    arguments: JSON.parse(args),
    finish_reason: finishReason,
    final: [final.name, JSON.parse(final.arguments)],
  };
}

async function image() {
  const content = [
    { type: "text", text: "simulate: prompt_tokens=90 completion_tokens=5" },
    { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL}` } },
  ];
  const request = { model: MODEL, max_tokens: 50, messages: [{ role: "user", content }] };
  const answer = await create(request);
  const chunks = await all(await create({ ...request, stream: true }));
  return {
    content: answer.choices[0].message.content,
    prompt_tokens: answer.usage.prompt_tokens,
    streamed: chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join(""),
  };
}

async function models() {
  const listed = await all(await client.models.list());
  const model = await client.models.retrieve(MODEL);
  return {
    listed: listed.length,
    has_model: listed.some((model) => model.id === MODEL),
    id: model.id,
    name: model.name,
    input: model.pricing.input,
    request_id: model._request_id,
  };
}

async function error(call) {
  try {
    await call();
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    return {
      class: error.constructor.name,
      status: error.status ?? null,
      type: error.type ?? null,
      code: error.code ?? null,
      param: error.param ?? null,
      message: error.message,
      credits_needed: error.error?.credits_needed ?? null,
      request_id: error.requestID ?? null,
    };
  }
  return null;
}

async function limitReached() {
  for (let times = 0; times < 12; times += 1) {
    const refused = await error(() => limited.models.list());
    if (refused) return refused;
  }
  return null;
}

async function repeated() {
  const once = { headers: { "Idempotency-Key": "story.mjs" } };
  const request = says("prompt_tokens=20 completion_tokens=30");
  const first = await create(request, once).withResponse();
  const again = await create(request, once).withResponse();
  const onceStreamed = { headers: { "Idempotency-Key": "story.mjs, streamed" } };
  const streams = [];
  for (let times = 0; times < 2; times += 1) {
    streams.push(JSON.stringify(await all(await create({ ...request, stream: true }, onceStreamed))));
  }
  return {
    replays: [first, again].map(({ response }) => response.headers.get("x-layers-idempotent-replay")),
    request_ids: [first, again].map(({ data }) => data._request_id),
    is_the_same: JSON.stringify(first.data) === JSON.stringify(again.data),
    is_the_same_stream: streams[0] === streams[1],
    reused: await error(() => create(says("completion_tokens=1"), once)),
  };
}

async function brokenStream() {
  let heard = 0;
  const listen = async () => {
    for await (const chunk of await create(says("chunks=8 error_after=3", { stream: true }))) {
      heard += chunk.choices.filter((choice) => choice.delta.content).length;
    }
  };
  return { error: await error(listen), heard };
}

console.log(
  JSON.stringify({
    whole: await whole(),
    streamed: await streamed({ stream_options: { include_usage: true } }),
    streamed_without_usage: await streamed(),
    tool_whole: await toolWhole(),
    tool_streamed: await toolStreamed(),
    image: await image(),
    models: await models(),
    errors: {
      stranger: await error(() => stranger.models.list()),
      poor: await error(() => poor.chat.completions.create(says("completion_tokens=1"))),
      unknown_model: await error(() => create({ ...says(""), model: "openai/gpt-17" })),
      unknown_model_retrieved: await error(() => client.models.retrieve("openai/gpt-17")),
      bad_request: await error(() => create(says("", { n: 0 }))),
      limited: await limitReached(),
      provider_failed: await error(() => create(says("status=500"), { maxRetries: 0 })),
    },
    broken_stream: await brokenStream(),
    repeated: await repeated(),
  }),
);
