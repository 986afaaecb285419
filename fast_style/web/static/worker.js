// Runs the styles, away from the page's own thread. Messages in: {id, style, told, key, pixels, width, height, blend,
// colors}, told being {weights, strength, smallest}; messages out: {ready} once, then {id, pixels, milliseconds} or {id, error}.

const sessions = new Map();
let ort, providers;
// The last picture and its result, so that moving the blend slider runs no network.
let last = { key: null };

const ready = start();
ready.then((device) => postMessage({ ready: device }), (error) => postMessage({ failed: String(error.message ?? error) }));

async function start() {
  const gpu = await navigator.gpu?.requestAdapter().catch(() => null);
  ort = await import(gpu ? "./runtime/ort.webgpu.min.mjs" : "./runtime/ort.wasm.min.mjs");
  const threads = self.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency || 1, 8) : 1;
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
  ort.env.logLevel = "error";
  providers = gpu ? ["webgpu", "wasm"] : ["wasm"];
  return gpu ? "WebGPU" : `WebAssembly, ${threads} thread${threads > 1 ? "s" : ""}`;
}

onmessage = async ({ data }) => {
  try {
    await ready;
    const began = performance.now();
    if (data.key === null || data.key !== last.key) {
      const photo = new Uint8ClampedArray(data.pixels);
      last = { key: data.key, photo, stylized: await stylize(data.style, data.told, photo, data.width, data.height) };
    }
    const pixels = mix(last.photo, last.stylized, data.blend, data.colors);
    postMessage({ id: data.id, pixels: pixels.buffer, milliseconds: performance.now() - began }, [pixels.buffer]);
  } catch (error) {
    last = { key: null };
    postMessage({ id: data.id, error: String(error.message ?? error) });
  }
};

function openSession(style) {
  if (!sessions.has(style)) {
    const opening = ort.InferenceSession.create(new URL(style, import.meta.url).href, { executionProviders: providers });
    opening.catch(() => sessions.delete(style)); // so that the next try fetches it again
    sessions.set(style, opening);
  }
  return sessions.get(style);
}

/** RGBA bytes to RGBA bytes: the same arithmetic and rounding as the Python runtime. */
async function stylize(style, told, photo, width, height) {
  if (Math.min(width, height) < told.smallest) throw new Error(`A picture needs ${told.smallest} px on each side.`);
  const session = await openSession(style);
  const area = width * height;
  const planes = new Float32Array(3 * area);
  for (let i = 0, p = 0; i < area; i++, p += 4) {
    planes[i] = photo[p] / 255;
    planes[i + area] = photo[p + 1] / 255;
    planes[i + 2 * area] = photo[p + 2] / 255;
  }
  const image = new ort.Tensor("float32", planes, [1, 3, height, width]);
  const feeds = { image };
  if (session.inputNames.includes("styles")) feeds.styles = new ort.Tensor("float32", Float32Array.from(told.weights), [1, told.weights.length]);
  if (told.strength !== null) feeds.strength = new ort.Tensor("float32", [told.strength], [1, 1]);
  const found = await session.run(feeds);
  const stylized = found[session.outputNames[0]];
  const out = new Uint8ClampedArray(4 * area);
  const data = stylized.data;
  for (let i = 0, p = 0; i < area; i++, p += 4) {
    out[p] = Math.floor(data[i] * 255 + 0.5);
    out[p + 1] = Math.floor(data[i + area] * 255 + 0.5);
    out[p + 2] = Math.floor(data[i + 2 * area] * 255 + 0.5);
    out[p + 3] = 255;
  }
  stylized.dispose();
  return out;
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
