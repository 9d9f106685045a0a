// Draws samples of model.onnx, a file of `evenodds export RUN --uint8`, in this page alone: nothing leaves it.
import { grid, metadata, request } from "./model.js";
import * as ort from "./ort/ort.wasm.min.mjs";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.wasm.numThreads = 1;

const SIDE = 4;
const element = (id) => document.getElementById(id);

function show(x, units) {
  const { width, height, pixels } = grid(x, units, SIDE);
  const canvas = element("samples");
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(pixels, width, height), 0, 0);
}

async function main() {
  const bytes = new Uint8Array(await (await fetch("model.onnx")).arrayBuffer());
  const about = metadata(bytes);
  const session = await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] });
  const choice = element("class");
  about.classes.forEach((name, number) => choice.add(new Option(name, number)));
  choice.disabled = !about.inputs.y;
  const draw = async () => {
    const n = SIDE * SIDE;
    const answer = await session.run(request(ort.Tensor, about, n, Number(element("seed").value), choice.value || 0));
    show(answer.x, about.units);
    element("status").textContent = `${n} samples of run ${about.run}`;
  };
  element("draw").disabled = false;
  element("draw").addEventListener("click", draw);
  choice.addEventListener("change", draw);
  await draw();
}

main().catch((error) => {
  element("status").textContent = error.message;
});
