// Samples of a file of `evenodds export RUN --uint8` as a picture: node sample.js MODEL OUT.png [CLASS] [SEED]
import { readFile, writeFile } from "node:fs/promises";
import { deflateSync } from "node:zlib";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { grid, metadata, request } from "../web/model.js";

const N = 16;
const COLUMNS = 4;

/** A picture of { width, height, pixels } as the bytes of a PNG file. */
function png({ width, height, pixels }) {
  const rows = Buffer.alloc(height * (1 + 4 * width)); // each begins with 0: no filter
  for (let y = 0; y < height; y++) rows.set(pixels.subarray(4 * width * y, 4 * width * (y + 1)), y * (1 + 4 * width) + 1);
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 6, 0, 0, 0], 8); // 8 bits, red, green, blue and opacity
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, part("IHDR", head), part("IDAT", deflateSync(rows)), part("IEND", Buffer.alloc(0))]);
}

/** A part of a PNG file: length, name, content and checksum. */
function part(name, content) {
  const named = Buffer.concat([Buffer.from(name, "latin1"), content]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(content.length, 0);
  ends.writeUInt32BE(checksum(named), 4);
  return Buffer.concat([ends.subarray(0, 4), named, ends.subarray(4)]);
}

/** CRC-32. */
function checksum(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let k = 0; k < 8; k++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return (sum ^ 0xffffffff) >>> 0;
}

const [model, out, name, seed = "0"] = process.argv.slice(2);
if (!out) throw new Error("node sample.js MODEL OUT.png [CLASS] [SEED]");
const bytes = await readFile(model);
const about = metadata(bytes);
const number = name === undefined ? 0 : about.classes.indexOf(name);
if (number < 0) throw new Error(`no class ${name}; there are ${about.classes.join(", ")}`);
const session = await InferenceSession.create(bytes);
const { x } = await session.run(request(Tensor, about, N, Number(seed), number));
await writeFile(out, png(grid(x, about.units, COLUMNS)));
console.log(`${N} samples of run ${about.run}: ${out}`);
