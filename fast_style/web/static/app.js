// The page: takes a photo or the camera, hands frames to the worker, shows what comes back.

const $ = (id) => document.getElementById(id);
const canvas = $("canvas");
const context = canvas.getContext("2d");
const scratch = document.createElement("canvas");
const AUTOMATIC = { photo: 960, camera: 320 };
const HALF_RANGE = 20; // steps of the strength's slider for two doublings: 0.25 to 4
const SMALLEST_DRAFT = 16; // px
const STARTING = "Starting …";
const files = new Map(); // what styles.json says of each file

let source = null; // {kind: "photo" | "camera", element, name}
let painted = null; // what the canvas shows: {kind, name, style, title, width, height}
let worker, recorder;
let stream = null; // the camera's
let choice = 0; // numbers what was chosen, so that a photo that is decoded late does not replace it
let photoNumber = 0; // names a photo, so that the worker knows the one it has
let busy = false; // one frame at a time is with the worker
let again = false; // something changed meanwhile
let wished = false; // the camera is wanted
let asking = false; // the browser asks for permission
let shown = []; // when the last frames were shown, ms

main().catch((error) => { ($("unsupported") ?? $("status")).textContent = error.message; });

async function main() {
  const missing = [
    ["WebAssembly", typeof WebAssembly === "object"],
    ["createImageBitmap", "createImageBitmap" in window],
    ["workers", "Worker" in window],
  ].filter(([, there]) => !there).map(([name]) => name);
  if (missing.length) {
    $("unsupported").textContent = `This browser is too old for this page: it lacks ${missing.join(", ")}. Please update it.`;
    return;
  }
  const answer = await fetch("styles.json");
  if (!answer.ok) throw new Error("The list of styles is missing from this server.");
  for (const style of await answer.json()) {
    files.set(style.file, style);
    $("style").add(new Option(style.artist ? `${style.title} (${style.artist})` : style.title, style.file));
  }
  $("unsupported").remove();
  $("app").hidden = false;
  say(STARTING);
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => receive(data);
  worker.onerror = () => say("The engine could not be started. Please update this browser, or reload the page.", true);
  wire();
}

function wire() {
  $("controls").addEventListener("submit", (event) => event.preventDefault());
  $("file").addEventListener("change", () => openPhoto($("file").files[0]));
  $("camera").addEventListener("click", () => (stream ? stopCamera() : startCamera()));
  $("blend").addEventListener("input", () => { showValues(); refresh(); });
  $("style").addEventListener("change", showMixture);
  for (const id of ["style", "size"]) $(id).addEventListener("change", () => { photoNumber++; refresh(); });
  for (const id of ["mixture", "strength", "passes"]) $(id).addEventListener("input", () => { photoNumber++; showValues(); refresh(); });
  showMixture();
  showValues();
  $("colors").addEventListener("change", refresh);
  $("save").addEventListener("click", save);
  $("record").addEventListener("click", () => (recorder ? recorder.stop() : record()));
  $("fullscreen").hidden = !document.fullscreenEnabled;
  $("fullscreen").addEventListener("click", () => {
    $("stage").requestFullscreen().catch(() => say("The browser did not allow full screen.", true));
  });
  addEventListener("dragover", (event) => { event.preventDefault(); $("stage").classList.add("over"); });
  // Every element that is left says so; only the page's own edge matters.
  addEventListener("dragleave", (event) => event.relatedTarget ?? $("stage").classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("stage").classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) openPhoto(file);
    else say("That was not a file. Save the picture first, then drop its file.", true);
  });
  addEventListener("paste", (event) => event.clipboardData.files[0] && openPhoto(event.clipboardData.files[0]));
}

async function openPhoto(file) {
  if (!file) return;
  const number = ++choice;
  let bitmap;
  try {
    bitmap = await createImageBitmap(file); // turns it upright, too
  } catch {
    if (number === choice) say(`${file.name} is not a picture that this browser can read. JPEG, PNG and WebP are.`, true);
    return;
  }
  if (number !== choice) { bitmap.close(); return; }
  stopCamera();
  source?.element.close?.();
  source = { kind: "photo", element: bitmap, name: file.name.replace(/\.[^.]*$/, "") };
  photoNumber++;
  $("file").value = ""; // so that the same file can be chosen again
  refresh();
}

async function startCamera() {
  if (!navigator.mediaDevices) {
    say("The browser gives the camera only to https pages and to localhost.", true);
    return;
  }
  const video = $("video");
  let opened = null;
  wished = true;
  choice++;
  if (asking) return;
  asking = true;
  try {
    opened = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: "user" } }).finally(() => { asking = false; });
    if (!wished) { opened.getTracks().forEach((track) => track.stop()); return; }
    stream = opened;
    stream.getVideoTracks()[0].addEventListener("ended", stopCamera);
    video.srcObject = stream;
    await video.play();
    if (stream !== opened) return;
  } catch (error) {
    if (!wished || stream !== opened) return;
    stopCamera();
    const reasons = {
      NotAllowedError: "The camera was not allowed. Allow it in the browser's settings for this page, then try again.",
      NotFoundError: "There is no camera. Connect one, or choose a photo.",
      NotReadableError: "The camera is in use by another program.",
    };
    say(reasons[error.name] ?? `The camera did not start: ${error.message}`, true);
    return;
  }
  source?.element.close?.();
  source = { kind: "camera", element: video, name: "camera" };
  shown = [];
  press("camera", true, "Stop the camera");
  refresh();
}

function stopCamera() {
  wished = false;
  if (!stream) return;
  recorder?.stop();
  for (const track of stream.getTracks()) track.stop();
  stream = null;
  if (source?.kind === "camera") source = null;
  press("camera", false, "Start the camera");
  $("speed").textContent = "";
  say("The camera is off.");
  $("record").disabled = true;
}

/** Send the picture at hand to the worker, or remember to when it is back. */
function refresh() {
  if (!source) return;
  if (busy) { again = true; return; }
  const { kind, element, name } = source;
  // A camera that is turned gives frames of another size.
  const [columns, rows] = kind === "camera" ? [element.videoWidth, element.videoHeight] : [element.width, element.height];
  const limit = $("size").value === "auto" ? AUTOMATIC[kind] : Number($("size").value);
  const scale = Math.min(1, limit / Math.max(columns, rows));
  const width = Math.max(1, Math.round(columns * scale));
  const height = Math.max(1, Math.round(rows * scale));
  [scratch.width, scratch.height] = [width, height];
  const brush = scratch.getContext("2d", { willReadFrequently: true });
  brush.fillStyle = "white"; // under transparent parts
  brush.fillRect(0, 0, width, height);
  brush.imageSmoothingQuality = "high";
  brush.drawImage(element, 0, 0, width, height);
  const pixels = brush.getImageData(0, 0, width, height).data.buffer;
  busy = true;
  if (kind === "photo") say("Painting …");
  const key = kind === "photo" ? photoNumber : null;
  const blend = Number($("blend").value) / 100;
  const file = files.get($("style").value);
  const id = { kind, name, style: file.name, title: $("style").selectedOptions[0].text, width, height };
  const told = { weights: weights(), strength: file.strength * strength(), smallest: file.smallest, ground: file.ground, passes: passes(file, width, height) };
  worker.postMessage({ id, style: $("style").value, told, key, pixels, width, height, blend, colors: $("colors").checked }, [pixels]);
}

function receive(message) {
  if (message.ready) {
    $("device").textContent = message.ready;
    if ($("status").textContent === STARTING) say("Ready."); // otherwise there is something newer to read
    return;
  }
  if (message.failed) { say(`The engine could not be started: ${message.failed}`, true); return; }
  busy = false;
  if (message.error) {
    if (message.id.kind === "camera" && stream) stopCamera();
    else if (again) { again = false; refresh(); return; } // nobody waits for this picture any more
    again = false;
    say(`This picture could not be painted: ${message.error}`, true);
    return;
  }
  painted = message.id;
  const { kind, width, height } = painted;
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  $("stage").style.setProperty("--aspect", width / height);
  context.putImageData(new ImageData(new Uint8ClampedArray(message.pixels), width, height), 0, 0);
  $("invitation").hidden = true;
  $("save").disabled = $("fullscreen").disabled = false;
  canvas.setAttribute("aria-label", `${painted.name} painted as ${painted.title}, ${width} by ${height} pixels`);
  if (kind === "camera" && !stream) {
    // The last frame of a camera that was stopped meanwhile.
  } else if (kind === "camera") {
    shown = [...shown, performance.now()].slice(-20);
    const seconds = (shown.at(-1) - shown[0]) / 1000;
    $("speed").textContent = seconds ? `${((shown.length - 1) / seconds).toFixed(1)} frames a second, ${width}×${height}` : "";
    if (shown.length === 1) {
      $("record").disabled = !("MediaRecorder" in window);
      say("The camera runs.");
    }
  } else {
    $("speed").textContent = `${Math.round(message.milliseconds)} ms, ${width}×${height}`;
    say("Done.");
  }
  if (source?.kind === "camera") requestAnimationFrame(refresh);
  else if (again) { again = false; refresh(); }
}

function save() {
  const jpeg = $("quality").value !== "png";
  const name = fileName(jpeg ? "jpg" : "png");
  canvas.toBlob((blob) => download(blob, name), jpeg ? "image/jpeg" : "image/png", Number($("quality").value) || undefined);
}

function record() {
  const chunks = [];
  try {
    recorder = new MediaRecorder(canvas.captureStream());
  } catch (error) {
    say(`This browser cannot record: ${error.message}`, true);
    return;
  }
  const suffix = recorder.mimeType.includes("mp4") ? "mp4" : "webm";
  const name = fileName(suffix);
  recorder.ondataavailable = ({ data }) => chunks.push(data);
  recorder.onstop = () => {
    const type = recorder.mimeType.split(";")[0];
    recorder = null;
    press("record", false, "Record");
    if (chunks.length) download(new Blob(chunks, { type }), name);
  };
  recorder.start(1000);
  press("record", true, "Stop recording");
  say("Recording …");
}

function fileName(suffix) {
  return `${painted.name}-${painted.style}.${suffix}`;
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  say(`Saved ${name}.`);
}

/** Sliders for the styles in the chosen file: the first one counts, until they are moved. */
function showMixture() {
  const { styles, coarsest } = files.get($("style").value);
  const rows = styles.map((name, number) => {
    const slider = Object.assign(document.createElement("input"), { type: "range", min: 0, max: 100, value: number ? 0 : 100 });
    const row = document.createElement("label");
    row.append(name.replaceAll("-", " "), slider);
    return row;
  });
  $("mixture").replaceChildren($("mixture").firstElementChild, ...rows);
  $("mixture").hidden = styles.length < 2;
  $("strength-row").hidden = coarsest === null;
  $("passes-row").hidden = coarsest === null;
}

/** Shares of the styles in the chosen file, which sum to 1. */
function weights() {
  const values = [...$("mixture").querySelectorAll("input")].map((slider) => Number(slider.value));
  const sum = values.reduce((total, value) => total + value, 0);
  return sum ? values.map((value) => value / sum) : values.map((_, number) => (number ? 0 : 1));
}

function strength() {
  return 4 ** (Number($("strength").value) / HALF_RANGE);
}

/** What stands beside the sliders. */
function showValues() {
  const passes = Number($("passes").value);
  show("strength", strength().toFixed(2));
  show("passes", passes || "auto", passes || "automatic");
  show("blend", `${$("blend").value} %`);
}

function show(slider, text, spoken = text) {
  $(`${slider}-value`).textContent = text;
  $(slider).setAttribute("aria-valuetext", spoken);
}

/** In how many passes to paint, from coarse to fine: as fast_style.model.passes counts them. */
function passes(file, width, height) {
  if (file.coarsest === null) return 1;
  const usual = 1 + Math.max(0, Math.round(Math.log2(Math.max(width, height) / file.coarsest)));
  const fitting = 1 + Math.max(0, Math.floor(Math.log2(Math.min(width, height) / SMALLEST_DRAFT)));
  return Math.min(Number($("passes").value) || usual, fitting);
}

function press(id, on, text) {
  $(id).classList.toggle("on", on); // for the eye; the text says it to all
  $(id).textContent = text;
}

function say(text, error = false) {
  $("status").textContent = text;
  $("status").classList.toggle("error", error);
}
