// Receipts and the public form of the log, judged by people who have nothing to do with Layers: proofs and signed notes by
// sigstore's own verifier, hashes by Node. Prints one JSON object, checked by tests/it/system_receipts.rs.
//
//   RECEIPTS      a file with an array of receipts
//   VERIFIER_KEY  the log's key
//   LOG_URL       where checkpoint and tiles are, or nothing

import { createHash, createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import checkpoints from "@sigstore/verify/dist/tlog/checkpoint.js";
import tlog from "@sigstore/verify/dist/tlog/index.js";

const authority = keyOf(process.env.VERIFIER_KEY);

// <name>+<key id in hex>+<base64 of 0x01 and the public key>
function keyOf(text) {
  const [name, id, encoded] = text.match(/^([^+]+)\+([0-9a-f]{8})\+(.+)$/).slice(1);
  const bytes = Buffer.from(encoded, "base64");
  if (bytes[0] !== 1 || bytes.length !== 33) throw new Error("not an Ed25519 key");
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), bytes.subarray(1)]);
  return {
    baseURL: name,
    logID: Buffer.from(id, "hex"),
    publicKey: createPublicKey({ key: spki, format: "der", type: "spki" }),
    validFor: { start: new Date(0), end: new Date(8.64e15) },
  };
}

function entryOf(receipt, { position, event, proof }) {
  return {
    logIndex: String(position - 1),
    canonicalizedBody: Buffer.from(event, "utf8"),
    inclusionProof: {
      logIndex: String(position - 1),
      hashes: proof.map((hash) => Buffer.from(hash, "base64")),
      checkpoint: { envelope: receipt.checkpoint },
    },
  };
}

// Why a receipt proves nothing; null if it proves all.
function wrongWith(receipt) {
  try {
    const proved = [...receipt.events, ...(receipt.prices ? [receipt.prices] : [])];
    if (proved.length === 0) return "no events";
    for (const one of proved) tlog.verifyTLogInclusion(entryOf(receipt, one), [authority]);
    return null;
  } catch (error) {
    return `${error.code ?? error.name}: ${error.message}`;
  }
}

const sha256 = (...parts) => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest();

// RFC 6962, 2.1, as it is written.
function treeHash(leaves) {
  if (leaves.length === 1) return leaves[0];
  let half = 1;
  while (half * 2 < leaves.length) half *= 2;
  return sha256(Buffer.from([1]), treeHash(leaves.slice(0, half)), treeHash(leaves.slice(half)));
}

const pathOf = (index) => (index < 1000 ? "" : `x${String(Math.floor(index / 1000)).padStart(3, "0")}/`) + String(index % 1000).padStart(3, "0");

async function fetched(url, path) {
  const response = await fetch(`${url}/${path}`);
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${bytes}`);
  return { bytes, headers: Object.fromEntries(response.headers) };
}

async function hashesOf(url, level, index, width) {
  const { bytes, headers } = await fetched(url, `tile/${level}/${pathOf(index)}${width < 256 ? `.p/${width}` : ""}`);
  if (bytes.length !== 32 * width) throw new Error(`tile ${level}/${index} has ${bytes.length} bytes`);
  return { hashes: Array.from({ length: width }, (_, n) => bytes.subarray(32 * n, 32 * n + 32)), headers };
}

// The root from the leaves' tiles, and from the level above them with the last leaves.
async function logAt(url) {
  const { bytes, headers } = await fetched(url, "checkpoint");
  const envelope = bytes.toString("utf8");
  const checkpoint = checkpoints.verifyCheckpoint({ inclusionProof: { checkpoint: { envelope } } }, [authority]);
  const size = Number(checkpoint.logSize);
  const [full, rest] = [Math.floor(size / 256), size % 256];
  let leaves = [];
  let tileHeaders = {};
  for (let index = 0; index < full + (rest > 0 ? 1 : 0); index += 1) {
    const tile = await hashesOf(url, 0, index, index < full ? 256 : rest);
    leaves = leaves.concat(tile.hashes);
    tileHeaders = tile.headers;
  }
  const above = full > 0 ? (await hashesOf(url, 1, 0, full)).hashes : [];
  const roots = Array.from({ length: full }, (_, n) => treeHash(leaves.slice(256 * n, 256 * n + 256)));
  return {
    origin: checkpoint.origin,
    size,
    root: checkpoint.logHash.toString("base64"),
    rebuilt: treeHash(leaves).toString("base64"),
    level_1_is_of_level_0: above.length === roots.length && above.every((hash, n) => hash.equals(roots[n])),
    leaves: leaves.map((leaf) => leaf.toString("base64")),
    checkpoint_headers: headers,
    tile_headers: tileHeaders,
  };
}

const receipts = JSON.parse(readFileSync(process.env.RECEIPTS, "utf8"));
const leafOf = ({ event }) => sha256(Buffer.from([0]), Buffer.from(event, "utf8")).toString("base64");
console.log(
  JSON.stringify({
    wrong: receipts.map(wrongWith),
    leaves: receipts.map((receipt) => receipt.events.map((proved) => [proved.position, leafOf(proved)])),
    log: process.env.LOG_URL ? await logAt(process.env.LOG_URL) : null,
  }),
);
