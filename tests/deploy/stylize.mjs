// Stylize raw RGB pixels with onnxruntime-web: node stylize.mjs MODEL.onnx '[{"in": …, "out": …, "dims": [1, H, W, 3]}]'
import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-web";

const [model, jobs] = process.argv.slice(2);
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(model));
for (const job of JSON.parse(jobs)) {
  const { stylized } = await session.run({ image: new ort.Tensor("uint8", readFileSync(job.in), job.dims) });
  writeFileSync(job.out, stylized.data);
}
