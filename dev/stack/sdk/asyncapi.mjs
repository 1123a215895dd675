// Reads an AsyncAPI document with the parser of the AsyncAPI initiative, and each sample with a validator of JSON Schema.
// Arguments: the document, the folder of the samples. Prints what was found as one JSON object.
import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Parser, fromFile } from '@asyncapi/parser';
import Ajv from 'ajv/dist/2020.js';

const [file, samples] = process.argv.slice(2);
const { document, diagnostics } = await fromFile(new Parser(), file).parse();

// Formats as `uint64` say more than the standard knows.
const ajv = new Ajv({ strict: false, validateFormats: false });
const valid = [], invalid = [];
for (const name of readdirSync(samples)) {
  const schema = JSON.parse(readFileSync(join(dirname(file), 'json', name), 'utf8'));
  const sample = JSON.parse(readFileSync(join(samples, name), 'utf8'));
  const validate = ajv.compile(schema);
  if (validate(sample)) valid.push(name);
  else invalid.push({ name, errors: validate.errors });
}

console.log(JSON.stringify({
  // 0 is an error, 1 a warning; what is below are hints.
  complaints: diagnostics.filter(({ severity }) => severity < 2).map(({ path, message }) => ({ path, message })),
  messages: document?.allMessages().all().map((message) => message.id()) ?? [],
  channels: document?.allChannels().all().map((channel) => channel.address()) ?? [],
  valid, invalid,
}));
