// Draws samples of model.onnx, a file of `evenodds export RUN --uint8`, in this page alone: nothing leaves it.
import * as ort from "./ort/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.wasm.numThreads = 1;

const SIDE = 4;
const element = (id) => document.getElementById(id);

/** The metadata of an ONNX file: field 14 of its message, entries of a key (1) and a value (2). */
function metadata(bytes) {
  const text = new TextDecoder();
  const words = {};
  for (const [number, value] of fields(bytes)) {
    if (number !== 14) continue;
    const entry = Object.fromEntries(fields(value));
    words[text.decode(entry[1])] = text.decode(entry[2]);
  }
  return words;
}

/** [number, bytes] of each field of a message of protocol buffers that holds bytes. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const tag = varint();
    const kind = tag % 8;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else {
      const length = varint();
      yield [Math.floor(tag / 8), bytes.subarray(at, at + length)];
      at += length;
    }
  }
}

/** Standard normal numbers, the same for the same seed. */
function normals(n, seed) {
  let state = seed + 1;
  const uniform = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return Float32Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

function show(x, units) {
  const [n, channels, height, width] = x.dims;
  const canvas = element("samples");
  canvas.width = SIDE * width;
  canvas.height = SIDE * height;
  const picture = canvas.getContext("2d");
  const level = (value) => (255 * (value - units.low[0])) / (units.high[0] - units.low[0]);
  for (let k = 0; k < n; k++) {
    const image = new ImageData(width, height);
    for (let p = 0; p < height * width; p++) {
      for (let c = 0; c < 3; c++) {
        image.data[4 * p + c] = level(x.data[(k * channels + Math.min(c, channels - 1)) * height * width + p]);
      }
      image.data[4 * p + 3] = 255;
    }
    picture.putImageData(image, (k % SIDE) * width, Math.floor(k / SIDE) * height);
  }
}

async function main() {
  const bytes = new Uint8Array(await (await fetch("model.onnx")).arrayBuffer());
  const words = metadata(bytes);
  if (words.format !== "evenodds-model-1" || words.answers !== "sample") {
    throw new Error("model.onnx must be a file of `evenodds export RUN --uint8` that samples");
  }
  const about = JSON.parse(words.evenodds);
  const entries = Object.fromEntries(about.inputs.map((one) => [one.name, one]));
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const choice = element("class");
  JSON.parse(words.classes ?? "[]").forEach((name, number) => choice.add(new Option(name, number)));
  choice.disabled = !entries.y;
  const n = SIDE * SIDE;
  const draw = async () => {
    const length = entries.z.shape[1];
    const given = { z: new ort.Tensor("float32", normals(n * length, Number(element("seed").value)), [n, length]) };
    if (entries.y) given.y = new ort.Tensor("int64", new BigInt64Array(n).fill(BigInt(choice.value)), [n]);
    if (entries.truncation) given.truncation = new ort.Tensor("float32", new Float32Array([1]), [1]);
    show((await session.run(given)).x, JSON.parse(words.units));
    element("status").textContent = `${n} samples of run ${words.run}`;
  };
  element("draw").disabled = false;
  element("draw").addEventListener("click", draw);
  choice.addEventListener("change", draw);
  await draw();
}

main().catch((error) => {
  element("status").textContent = error.message;
});
