// Runs the styles, away from the page's own thread. Messages in: {id, style, told, key, pixels, width, height, blend,
// colors}, told being {weights, strength, smallest, ground, passes}; messages out: {ready} once, and again if WebGPU fails; then {id, pixels,
// milliseconds} or {id, error}.

const LEARNED_PASSES = 3; // as in fast_style/model/passes.py
const SMALLEST_DRAFT = 16; // px
const sessions = new Map();
const proved = new Set(); // what WebGPU has painted as WebAssembly does
let ort, gpu; // the runtime, and whether it uses WebGPU
// The last picture and its result, so that moving the blend slider runs no network.
let last = { key: null };

const ready = start();
ready.then((device) => postMessage({ ready: device }), (error) => postMessage({ failed: String(error.message ?? error) }));

async function start() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  // Software may stand in for a GPU; WebAssembly is many times as fast.
  return load(adapter && !adapter.info?.isFallbackAdapter);
}

/** Load the runtime; return what it runs on. */
async function load(webgpu) {
  sessions.clear();
  gpu = webgpu;
  ort = await import(gpu ? "./runtime/ort.webgpu.min.mjs" : "./runtime/ort.wasm.min.mjs");
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
  ort.env.logLevel = "error";
  return gpu ? "WebGPU" : `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}`;
}

onmessage = async ({ data }) => {
  try {
    await ready;
    const began = performance.now();
    if (data.key === null || data.key !== last.key) {
      const photo = new Uint8ClampedArray(data.pixels);
      last = { key: data.key, photo, stylized: await paint(data.style, data.told, photo, data.width, data.height) };
    }
    const pixels = mix(last.photo, last.stylized, data.blend, data.colors);
    postMessage({ id: data.id, pixels: pixels.buffer, milliseconds: performance.now() - began }, [pixels.buffer]);
  } catch (error) {
    last = { key: null };
    postMessage({ id: data.id, error: String(error.message ?? error) });
  }
};

function openSession(style, provider) {
  const key = `${provider} ${style}`;
  if (!sessions.has(key)) {
    const opening = ort.InferenceSession.create(new URL(style, import.meta.url).href, { executionProviders: [provider] });
    opening.catch(() => sessions.delete(key)); // so that the next try fetches it again
    sessions.set(key, opening);
  }
  return sessions.get(key);
}

/** Stylize with WebGPU; with WebAssembly, now and later, if there is none or it fails. */
async function paint(style, told, photo, width, height) {
  if (Math.min(width, height) < told.smallest) throw new Error(`A picture needs ${told.smallest} px on each side.`);
  if (gpu) {
    try {
      await prove(style, told);
      return await stylize("webgpu", style, told, photo, width, height);
    } catch (error) {
      console.warn(error);
      postMessage({ ready: `${await load(false)}, since WebGPU failed` });
    }
  }
  return stylize("wasm", style, told, photo, width, height);
}

/** Throw unless WebGPU paints a small picture as WebAssembly does: not every operator on every GPU is right. */
async function prove(style, told) {
  // What follows the learned passes runs another network; the graph of a ground is of a number of passes.
  const passes = told.passes > LEARNED_PASSES ? LEARNED_PASSES + 1 : Math.min(told.passes, told.ground === "none" ? 2 : LEARNED_PASSES);
  const key = `${style} ${passes}`;
  if (proved.has(key)) return;
  const side = Math.max(64, 2 ** Math.max(1, passes - 1) * Math.max(SMALLEST_DRAFT, told.smallest));
  const photo = Uint8ClampedArray.from({ length: 4 * side * side }, (_, i) => i < 2 * side * side ? 128 : 128 + 120 * Math.sin(i * i)); // half flat
  const small = { ...told, passes };
  const found = await stylize("webgpu", style, small, photo, side, side);
  const expected = await stylize("wasm", style, small, photo, side, side);
  const difference = found.reduce((sum, value, i) => sum + Math.abs(value - expected[i]), 0) / found.length;
  if (difference > 1) throw new Error("WebGPU paints another picture");
  proved.add(key);
}

/** RGBA bytes to RGBA bytes: the same arithmetic and rounding as the Python runtime. */
async function stylize(provider, style, told, photo, width, height) {
  const session = await openSession(style, provider);
  const feeds = {};
  if (session.inputNames.includes("styles")) feeds.styles = new ort.Tensor("float32", Float32Array.from(told.weights), [1, told.weights.length]);
  const level = told.strength ** 2 / (1 + told.strength ** 2); // shares of the draft: as draft_shares of fast_style/model/passes.py
  const flat = level * (1.8 - 0.8 * level);
  const shares = new ort.Tensor("float32", [flat, level * (0.3 + 0.6 * level) - flat], [2]);
  const planes = new Uint8ClampedArray(3 * width * height);
  for (let i = 0, p = 0; p < photo.length; i++, p += 4) for (let c = 0; c < 3; c++) planes[i + c * width * height] = photo[p + c];
  const learned = told.ground !== "none" && told.passes > 1 ? Math.min(told.passes, LEARNED_PASSES) : 0; // passes that see a ground
  const after = told.passes - learned;
  const base = learned && reduced(planes, width, height, 2 ** after);
  const share = new ort.Tensor("float32", [Math.min(1, flat / 0.7)], [1]); // as ground_share of fast_style/model/ground.py
  const ground = learned && await layGround(provider, `${told.ground}-${learned}.onnx`, share, ...base);
  // From coarse to fine; everything between two passes is rounded to 8 bits, as in the Python runtime.
  let small, draft;
  for (let pass = told.passes - 1; pass >= 0; pass--) {
    const copy = tensor(...(pass < after || !learned ? reduced(planes, width, height, 2 ** pass) : reduced(...ground, 2 ** (pass - after))));
    if (learned && pass === after - 1) small = tensor(...base);
    let image = copy;
    if (draft) {
      const { seen } = await (await openSession("mixing.onnx", provider)).run({ photo: copy, small, draft, shares });
      image = tensor(bytes(seen), seen.dims[3], seen.dims[2]);
      seen.dispose();
    }
    let found = (await session.run({ ...feeds, image }))[session.outputNames[0]];
    if (told.passes - pass > LEARNED_PASSES) {
      const painted = found;
      ({ restored: found } = await (await openSession("restoring.onnx", provider)).run({ painted, draft }));
      painted.dispose();
    }
    [small, draft] = [copy, tensor(bytes(found), found.dims[3], found.dims[2])];
    found.dispose();
  }
  const out = new Uint8ClampedArray(photo.length).fill(255);
  for (let i = 0, p = 0; p < out.length; i++, p += 4) for (let c = 0; c < 3; c++) out[p + c] = Math.round(draft.data[i + c * width * height] * 255);
  return out;
}

/** Lay a ground under the flat places of a photo: planes of bytes to planes of bytes, with their sides. */
async function layGround(provider, form, share, planes, width, height) {
  const { grounded } = await (await openSession(form, provider)).run({ photo: tensor(planes, width, height), share });
  const laid = bytes(grounded);
  grounded.dispose();
  return [laid, width, height];
}

/** Planes of bytes as an input. */
function tensor(planes, width, height) {
  const values = new Float32Array(planes.length);
  for (let i = 0; i < planes.length; i++) values[i] = planes[i] / 255;
  return new ort.Tensor("float32", values, [1, 3, height, width]);
}

/** An output as planes of bytes. */
function bytes({ data }) {
  const planes = new Uint8ClampedArray(data.length);
  for (let i = 0; i < data.length; i++) planes[i] = Math.floor(data[i] * 255 + 0.5);
  return planes;
}

/** Average squares of pixels, smaller at the right and the bottom; as Pillow's reduce. */
function reduced(planes, width, height, factor) {
  if (factor === 1) return [planes, width, height];
  const [columns, rows] = [Math.ceil(width / factor), Math.ceil(height / factor)];
  const small = new Uint8ClampedArray(3 * columns * rows);
  for (let c = 0, i = 0; c < 3; c++) {
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, i++) {
        const [bottom, right] = [Math.min(height, (row + 1) * factor), Math.min(width, (column + 1) * factor)];
        let sum = 0;
        for (let y = row * factor; y < bottom; y++) for (let x = column * factor; x < right; x++) sum += planes[(c * height + y) * width + x];
        small[i] = Math.floor(sum / ((bottom - row * factor) * (right - column * factor)) + 0.5);
      }
    }
  }
  return [small, columns, rows];
}

/** Keep the photo's colors where asked (brightness from the style, BT.601), then blend; as the Python runtime. */
function mix(photo, stylized, blend, colors) {
  if (blend === 1 && !colors) return stylized.slice();
  const out = new Uint8ClampedArray(stylized.length);
  const clamp = (value) => Math.min(255, Math.max(0, value));
  for (let p = 0; p < out.length; p += 4) {
    const [r, g, b] = [photo[p], photo[p + 1], photo[p + 2]];
    let [sr, sg, sb] = [stylized[p], stylized[p + 1], stylized[p + 2]];
    if (colors) {
      const shift = 0.299 * (sr - r) + 0.587 * (sg - g) + 0.114 * (sb - b);
      [sr, sg, sb] = [r, g, b].map((value) => Math.floor(clamp(value + shift) + 0.5));
    }
    out[p] = Math.floor(r + (sr - r) * blend + 0.5);
    out[p + 1] = Math.floor(g + (sg - g) * blend + 0.5);
    out[p + 2] = Math.floor(b + (sb - b) * blend + 0.5);
    out[p + 3] = 255;
  }
  return out;
}
