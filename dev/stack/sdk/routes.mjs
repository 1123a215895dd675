// What a caller of the unmodified OpenAI SDK for Node sees of the routes beside chat: one JSON object, checked by
// tests/it/system_sdk_routes.rs. routes.py does the same in Python.

import OpenAI from "openai";

const MODEL = "anthropic/claude-haiku-4.5";
const EMBEDDING = "openai/text-embedding-3-small";
const IMAGE = "bfl/flux-2-pro";
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const TOOL = {
  type: "function",
  name: "say",
  description: "Says something.",
  parameters: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
  strict: false,
};
const SCHEMA = {
  type: "json_schema",
  name: "answer",
  schema: { type: "object", properties: { text: { type: "string" } } },
};

const client = new OpenAI();

const says = (wishes, more = {}) => ({ model: MODEL, max_output_tokens: 100, input: `simulate: ${wishes}`, ...more });

const usage = (usage, requestId) => ({
  input: usage.input_tokens,
  output: usage.output_tokens,
  cached: usage.input_tokens_details.cached_tokens,
  cost: usage.cost,
  cost_credits: usage.cost_credits,
  request_id: requestId,
});

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function whole(wishes, more) {
  const answer = await client.responses.create(says(wishes, more));
  return { text: answer.output_text, status: answer.status, ...usage(answer.usage, answer._request_id) };
}

async function streamed(wishes, more) {
  const { data: stream, response } = await client.responses
    .create({ ...says(wishes, more), stream: true })
    .withResponse();
  const events = await all(stream);
  const last = events.at(-1).response;
  return {
    text: events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join(""),
    status: last.status,
    first: events[0].type,
    last: events.at(-1).type,
    ordered: events.every((event, index) => event.sequence_number === index),
    ...usage(last.usage, response.headers.get("x-request-id")),
  };
}

async function tool() {
  const request = says("completion_tokens=9 tool_call=1", { tools: [TOOL] });
  const call = (await client.responses.create(request)).output[0];
  const final = (await client.responses.stream(request).finalResponse()).output[0];
  // The tool's answer goes back with the call, as the SDK hands it out.
  const result = { type: "function_call_output", call_id: call.call_id, output: "said" };
  const then = { role: "user", content: "simulate: completion_tokens=8" };
  const after = await client.responses.create({ ...request, input: [call, result, then] });
  return {
    name: call.name,
    arguments: JSON.parse(call.arguments),
    streamed: JSON.parse(final.arguments),
    after: after.status,
  };
}

async function imageIn() {
  const content = [
    { type: "input_text", text: "simulate: prompt_tokens=90 completion_tokens=5" },
    { type: "input_image", image_url: `data:image/png;base64,${PIXEL}`, detail: "auto" },
  ];
  const answer = await client.responses.create(says("", { input: [{ role: "user", content }] }));
  return { text: answer.output_text, ...usage(answer.usage, answer._request_id) };
}

async function embeddings() {
  const create = (request) => client.embeddings.create({ model: EMBEDDING, ...request });
  const plain = await create({ input: "hello there" });
  const floats = await create({ input: "hello there", encoding_format: "float" });
  const ignored = await create({ input: "simulate: floats=1" });
  const many = await create({ input: ["one", "two"], dimensions: 8 });
  const tokens = await create({ input: [[1, 2, 3], [4, 5]] });
  return {
    length: plain.data[0].embedding.length,
    same: JSON.stringify(plain.data[0].embedding) === JSON.stringify(floats.data[0].embedding),
    ignored: ignored.data[0].embedding.length,
    nonzero: ignored.data[0].embedding.some((number) => number !== 0),
    many: many.data.map((item) => item.embedding.length),
    tokens: tokens.usage.prompt_tokens,
    input: plain.usage.prompt_tokens,
    cost_credits: plain.usage.cost_credits,
    request_id: plain._request_id,
  };
}

async function images() {
  const made = await client.images.generate({ model: IMAGE, prompt: "a red circle", n: 2, size: "1024x1024" });
  return {
    count: made.data.length,
    is_png: made.data.every((image) => image.b64_json.startsWith("iVBOR")),
    images: made.usage.images,
    cost: made.usage.cost,
    cost_credits: made.usage.cost_credits,
    request_id: made._request_id,
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
    };
  }
  return null;
}

async function broken() {
  let heard = 0;
  const listen = async () => {
    for await (const event of await client.responses.create(says("chunks=8 error_after=3", { stream: true }))) {
      heard += event.type === "response.output_text.delta" ? 1 : 0;
    }
  };
  return { error: await error(listen), heard };
}

const twenty = "prompt_tokens=20 completion_tokens=30 cached_tokens=4";
const hi = [{ role: "user", content: "hi" }];
console.log(
  JSON.stringify({
    whole: await whole(twenty),
    streamed: await streamed(twenty),
    limited: await whole("completion_tokens=1000", { max_output_tokens: 16 }),
    limited_streamed: await streamed("completion_tokens=1000", { max_output_tokens: 16 }),
    thought: await streamed("completion_tokens=30 reasoning_tokens=20"),
    schema: await whole("completion_tokens=3", { text: { format: SCHEMA } }),
    tool: await tool(),
    image_in: await imageIn(),
    embeddings: await embeddings(),
    images: await images(),
    broken: await broken(),
    errors: {
      stored: await error(() => client.responses.create(says("", { previous_response_id: "resp_1" }))),
      hosted: await error(() => client.responses.create(says("", { tools: [{ type: "web_search" }] }))),
      not_here: await error(() => client.responses.create(says("", { model: EMBEDDING }))),
      no_chat: await error(() => client.chat.completions.create({ model: EMBEDDING, messages: hi })),
      no_embedding: await error(() => client.embeddings.create({ model: MODEL, input: "hi" })),
      no_image: await error(() => client.images.generate({ model: EMBEDDING, prompt: "hi" })),
      unknown_image: await error(() => client.images.generate({ model: "bfl/none", prompt: "hi" })),
      size: await error(() => client.images.generate({ model: IMAGE, prompt: "hi", size: "2048x2048" })),
    },
  }),
);
