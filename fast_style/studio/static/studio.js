// The studio's page: three views of what the server reads from the disk, which it asks for again and again.

const $ = (id) => document.getElementById(id);
const POLL = 1500; // ms
const FIRST_STYLE = "starry-night"; // until there is an own one
const LEAST_STEPS = 10, MOST_STEPS = 100_000;
const FRAME_WIDTH = 480; // of the camera's frames, px
const SHOWN_SIZE = 1280; // long side of a photo that is tried, px; the download has its own size
const LIVE_SIZE = 640; // while a slider moves, px
const TERMS = { total: "All together", content: "Photo lost", style: "Distance from the painting", tv: "Noise", color: "Colors", places: "Places unlike the painting", self_similarity: "Likeness lost", tone: "Light and dark", border: "Border", steady: "Flicker", kept: "Photo kept (higher is better)" };
const STATES = { preparing: "Starting", training: "Learning", pausing: "Finishing the step, then it pauses", finishing: "Writing the style", paused: "Paused", failed: "Stopped by an error", done: "Ready" };
const VIEWS = { make: "Make", try: "Try", library: "Library" };
const EXPORTS = { onnx: "ONNX file", app: "For an app (zip)", page: "Web page (zip)", card: "Card", adapter: "Adapter" };

let state = { styles: [], runs: [], trains: true, install: "" };
let shown = null; // the name of the training that is looked at
let making = false; // the form is asked for beside a training that rests
let suggested = ""; // the title that the painting's file gives
let painting = null, photos = null; // what the form holds: an upload, and a folder of one's own
const paces = {}; // promises of how fast this machine trains, by network and start
let starting = false; // a training is asked for
let away = null; // what was said as the studio did not answer the last time it was asked how things are
let unmeasured = null; // {key, error} of a measurement that failed; it is not tried again with every poll
let tried = null; // {kind: "photo", id, preview, name} or {kind: "film", identity, name, style, state}
let camera = null; // its stream
let wished = false; // the camera is wanted
let asking = false; // the browser asks for permission
let live = true; // the newest preview is shown

// ---- talking to the server ----

/** An error as a sentence that a remedy can follow. */
const sentence = (text) => text[0].toUpperCase() + text.slice(1) + (/[.!?…]$/.test(text) ? "" : ".");

class Refused extends Error {
  constructor(message, hint) { super(sentence(message)); this.hint = hint; }
}

async function ask(path, method = "GET", content) {
  const body = content === undefined || content instanceof Blob ? content : JSON.stringify(content);
  let answer;
  try {
    answer = await fetch(path, { method, body });
  } catch {
    if (content instanceof File) throw new Refused(`${content.name} could not be sent.`, "It may be too large, or the studio has ended. Try again.");
    throw new Refused("The studio does not answer.", "Start it again on this machine. A training goes on meanwhile.");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({ error: answer.status === 403 ? "This tab has lost its key." : "The studio did not understand.", hint: "Open the address that the studio printed when it started." }));
  throw new Refused(said.error, said.hint);
}

const read = async (path) => (await ask(path)).json();
const write = async (path, content, method = "POST") => (await ask(path, method, content)).json();

/** Save an answer as a file: unlike a plain link, this can say what went wrong. */
async function download(path, name) {
  const answer = await ask(path);
  const given = /filename="?([^"]+)"?/.exec(answer.headers.get("content-disposition") ?? "");
  const link = el("a", { href: URL.createObjectURL(await answer.blob()), download: name ?? given?.[1] ?? "style" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// ---- small tools ----

function el(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function tell(message, hint, good = false) {
  $("notice-text").textContent = message;
  $("notice-hint").textContent = hint ?? "";
  $("notice").classList.toggle("good", good);
  $("notice").hidden = false;
}

/** Do what a button says, and show what went wrong. */
function when(element, event, action) {
  element.addEventListener(event, async (happened) => {
    try {
      await action(happened);
    } catch (error) {
      if (error instanceof Refused) return tell(error.message, error.hint);
      console.error(error);
      tell("Something went wrong on this page.", "Reload it.");
    }
  });
}

function button(text, action, properties = {}) {
  const made = el("button", { type: "button", textContent: text, ...properties });
  when(made, "click", action);
  return made;
}

const put = (id, text) => { if ($(id).textContent !== text) $(id).textContent = text; };
const say = (text) => put("said", text);
const source = (id, url) => { if ($(id).getAttribute("src") !== url) $(id).src = url; };
const strengthOf = (slider) => 2 ** (slider / 10); // 0.25 to 4
const styleOf = (name) => state.styles.find((style) => style.name === name);

function duration(seconds) {
  if (seconds < 50) return "less than a minute";
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return minutes === 1 ? "1 minute" : `${minutes} minutes`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Files dropped on a place go where a file chosen there would. */
function dropPlace(place, take) {
  place.addEventListener("dragover", (event) => { event.preventDefault(); place.classList.add("over-drop"); });
  place.addEventListener("dragleave", () => place.classList.remove("over-drop"));
  when(place, "drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    place.classList.remove("over-drop");
    const file = event.dataTransfer.files[0];
    if (!file) throw new Refused("That was not a file.", "Save the picture first, then drop its file.");
    return take(file);
  });
}

function chooser(id, take) {
  when($(id), "change", async () => {
    const file = $(id).files[0];
    try {
      if (file) await take(file);
    } finally {
      $(id).value = ""; // the same file may be chosen again
    }
  });
}

/** Ask before what cannot be undone; with a value, ask for another one. Gives null if it is not wanted. */
function confirmed(title, text, yes, value) {
  put("ask-title", title);
  put("ask-text", text);
  put("ask-yes", yes);
  $("ask-row").hidden = value === undefined;
  $("ask-input").required = value !== undefined;
  $("ask-input").value = value ?? "";
  $("ask").returnValue = "no";
  $("ask").showModal();
  return new Promise((resolve) => {
    $("ask").addEventListener("close", () => resolve($("ask").returnValue === "yes" ? $("ask-input").value : null), { once: true });
  });
}

// ---- views ----

function route() {
  const asked = location.hash.slice(2), view = Object.hasOwn(VIEWS, asked) ? asked : "make";
  for (const name in VIEWS) $(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) link.ariaCurrent = link.hash === `#/${view}` ? "page" : null;
  if (view !== "try") stopCamera();
  if (view === "try") showTry();
  document.title = `${VIEWS[view]} · fast-style studio`;
}

async function poll() {
  try {
    state = await read("/api/state");
    if (away) {
      if ($("notice-text").textContent === away) $("notice").hidden = true;
      [away, unmeasured] = [null, null];
    }
    show();
    const run = state.runs.find((one) => one.name === shown);
    if (run && !$("make").hidden) drawCurves(await read(`/api/runs/${run.name}/curves`));
  } catch (error) {
    if (!(error instanceof Refused)) console.error(error);
    if ($("notice").hidden) tell(error.message, error.hint);
    away = error.message;
  }
  setTimeout(poll, document.hidden ? 4 * POLL : POLL);
}

async function refresh() {
  state = await read("/api/state");
  show();
}

function show() {
  const running = state.runs.find((run) => run.running);
  if (running && shown !== running.name) [shown, live] = [running.name, true];
  if (!shown && state.runs.length && !making) shown = state.runs[0].name;
  if (shown && !state.runs.some((run) => run.name === shown) && !styleOf(shown)) shown = null;
  showRun(state.runs.find((run) => run.name === shown), styleOf(shown));
  showOthers(running);
  $("start-training").disabled = starting || !state.trains;
  $("new").hidden = Boolean(running || (shown && !making));
  if ($("new").hidden) unmeasured = null;
  else showPace();
  showStyles();
  showFilm(state.film);
}

// ---- make: the training ----

function showRun(run, done) {
  $("running").hidden = !run && !done;
  if (!run && !done) return;
  const title = (run ?? done).title;
  put("run-title", title);
  put("run-state", STATES[run?.state ?? "done"]);
  for (const id of ["run-buttons", "run-bar", "run-left", "run-steps"]) $(id).hidden = !run;
  $("run-done").hidden = Boolean(run);
  $("run-error").hidden = !run?.error;
  if (run) {
    $("run-bar").value = run.step / run.steps;
    put("run-left", run.state === "preparing" ? "Looking at the painting and the photos …" : run.seconds_left !== null ? `${duration(run.seconds_left)} left` : "");
    put("run-steps", `${run.step} of ${run.steps} steps`);
    put("run-error", run.error ? `${sentence(run.error)} ${run.hint ?? ""}` : "");
    const busy = ["pausing", "finishing"].includes(run.state);
    $("run-pause").hidden = !run.running || busy;
    $("run-stop").hidden = busy || (!run.kept && !run.step);
    $("run-resume").hidden = run.running;
    $("run-delete").hidden = run.running;
    put("run-explain", run.running ? "You may close this tab: it goes on." : "“Stop here” makes a style of what is learned so far.");
    showPreviews(run);
    say(`${title}: ${STATES[run.state]}${run.state === "training" ? `, ${Math.floor((run.step / run.steps) * 10) * 10} %` : ""}`);
  } else {
    $("curves").replaceChildren();
    $("scrub-row").hidden = true;
    $("preview-none").hidden = true;
    $("preview").hidden = false;
    $("preview").alt = `A landscape painted as ${title}`;
    source("preview", cardOf(done));
    const facts = [done.skipped ? `${done.skipped} photos could not be read and were left out.` : "", done.cut ? "A frame around the painting was cut off." : ""];
    put("run-explain", facts.join(" ").trim());
    put("run-name", `In a terminal: fast-style stylize photo.jpg --style ${done.call}`);
    if ($("run-exports").dataset.style !== done.name) {
      $("run-exports").dataset.style = done.name;
      $("run-exports").replaceChildren(...exportsOf(done));
    }
    say(`${title}: ready`);
  }
}

function showPreviews(run) {
  const last = run.previews.length - 1;
  $("preview-none").hidden = last >= 0;
  $("preview").hidden = last < 0;
  $("scrub-row").hidden = last < 0;
  $("scrub").disabled = last < 1;
  if (last < 0) return;
  $("scrub").max = last;
  if (live) $("scrub").value = last;
  const name = run.previews[Math.min($("scrub").value, last)];
  const steps = Number(/\d+/.exec(name)[0]);
  const when = steps ? `After ${steps} steps` : "Before the first step";
  put("scrub-label", when);
  $("preview").alt = `Photos beside their pictures, ${when.toLowerCase()}`;
  source("preview", `/api/runs/${run.name}/previews/${name}`);
}

function drawCurves(curves) {
  $("curves").replaceChildren(...Object.entries(curves).filter(([, curve]) => curve.length > 1).map(([name, curve]) => {
    const steps = curve.map(([step]) => step), values = curve.map(([, value]) => value);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const points = curve.map(([step, value]) => `${((step - steps[0]) / (steps.at(-1) - steps[0])) * 100} ${38 - ((value - low) / (high - low || 1)) * 36}`);
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 40");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("role", "img");
    const now = values.at(-1).toPrecision(3), label = TERMS[name] ?? name.replaceAll("_", " ");
    svg.setAttribute("aria-label", `${label}: from ${values[0].toPrecision(3)} to ${now}`);
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", `M${points.join("L")}`);
    svg.append(path);
    return el("div", { className: "curve" }, el("p", {}, label, el("b", { textContent: Number(now) })), svg);
  }));
}

function showOthers(running) {
  const others = state.runs.filter((run) => run.name !== shown);
  $("others").hidden = !others.length;
  const key = JSON.stringify([others.map((run) => [run.name, run.title, run.state, run.step]), Boolean(running)]);
  if ($("others").dataset.key === key) return;
  $("others").dataset.key = key;
  $("others-list").replaceChildren(...others.map((run) => el("li", {},
    el("span", { textContent: `${run.title}: ${STATES[run.state].toLowerCase()} at step ${run.step} of ${run.steps}` }),
    button("Show", () => { [shown, making, live] = [run.name, false, true]; show(); $("run-title").focus(); }, { ariaLabel: `Show ${run.title}`, disabled: Boolean(running) }))));
}

async function wish(what) {
  await write(`/api/runs/${shown}/${what}`);
  await refresh();
}

async function remove(name, title) {
  if ((await confirmed(`Delete ${title}?`, "Its files are deleted from this machine. This cannot be undone.", "Delete")) === null) return;
  await write(`/api/styles/${name}`, undefined, "DELETE");
  if (shown === name) shown = null;
  await refresh();
  say(`${title} is deleted`);
}

// ---- make: the form ----

const network = () => document.querySelector("[name=network]:checked").value;
const startOf = () => `network=${network()}&start=${encodeURIComponent($("start").value)}`;

/** How fast this machine trains what is chosen; that is measured once. */
async function measure() {
  const key = startOf();
  if (unmeasured?.key === key) throw unmeasured.error;
  paces[key] ??= read(`/api/pace?${key}`).catch((error) => {
    delete paces[key];
    unmeasured = { key, error };
    throw error;
  });
  return paces[key];
}

/** The steps that are asked for, or that the chosen time has room for. */
async function countSteps() {
  const own = Number($("steps").value);
  if (own) return own;
  const seconds = 60 * $("minutes").value, pace = await measure();
  return Math.min(MOST_STEPS, Math.max(LEAST_STEPS, Math.round((seconds - pace.around) / pace.step)));
}

async function showPace() {
  if (!state.trains) return put("minutes-note", `Training needs libraries that are not installed: ${state.install}.`);
  const key = startOf();
  put("minutes-note", "Measuring how fast this machine learns …");
  try {
    const pace = await measure(), steps = await countSteps();
    if (key !== startOf()) return;
    const takes = pace.around + steps * pace.step;
    const close = !Number($("steps").value) && takes <= 66 * $("minutes").value; // within a tenth of the time
    put("minutes-note", close ? `About ${steps} steps on this machine.` : `${steps} steps, about ${duration(takes)} on this machine.`);
  } catch (error) {
    if (key === startOf()) put("minutes-note", `${error.message} ${error.hint ?? ""}`);
  }
}

function showStrength(slider) {
  const strength = strengthOf($(slider).value).toFixed(2);
  put(`${slider}-value`, strength);
  $(slider).setAttribute("aria-valuetext", strength);
}

async function takePainting(file, name = file.name) {
  painting = await write(`/api/paintings?name=${encodeURIComponent(name)}`, file);
  $("painting-picture").src = `/api/uploads/paintings/${painting.preview}`;
  $("painting-picture").alt = `The painting ${name}`;
  $("painting-picture").hidden = false;
  const typed = $("title").value !== suggested;
  suggested = name === file.name ? name.replace(/\.[^.]*$/, "").replaceAll(/[-_]+/g, " ").trim() : "";
  if (!typed) $("title").value = suggested;
  say(`The painting ${name} is here, ${painting.width} by ${painting.height} pixels`);
}

async function openCamera(wished) {
  try {
    return await navigator.mediaDevices.getUserMedia({ video: wished });
  } catch {
    throw new Refused("The camera cannot be used.", "Plug one in, close other programs that use it, and allow it for this page.");
  }
}

const closeCamera = (stream) => stream.getTracks().forEach((track) => track.stop());
const jpegOf = (canvas, quality) => new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", quality));

async function openShoot() {
  const stream = await openCamera({ width: { ideal: 1920 }, facingMode: "environment" });
  $("shoot").addEventListener("close", () => closeCamera(stream), { once: true });
  $("shoot-video").srcObject = stream;
  $("shoot").showModal();
  await $("shoot-video").play();
}

async function shoot() {
  const video = $("shoot-video"), canvas = el("canvas", { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const jpeg = await jpegOf(canvas, 0.95);
  $("shoot").close();
  await takePainting(jpeg, "from the camera");
}

const ownPhotos = () => document.querySelector("[name=photos]:checked").value === "folder";

let folder = null;
async function openFolder(path) {
  folder = await read(`/api/folders?path=${encodeURIComponent(path)}`);
  put("folders-path", folder.path);
  const inside = folder.folders.map((name) => button(name, () => openFolder(`${folder.path}/${name}`)));
  if (folder.up) inside.unshift(button("↑ The folder above", () => openFolder(folder.up)));
  $("folders-list").replaceChildren(...inside.map((entry) => el("li", {}, entry)));
  put("folders-count", `${folder.photos}${folder.more ? " or more" : ""} ${folder.photos === 1 ? "photo" : "photos"} in it and its folders.`);
  $("folders-take").disabled = !folder.photos;
  if (!$("folders").open) $("folders").showModal();
  (inside[0] ?? $("folders-cancel")).focus();
}

async function start() {
  const missing = [[painting, "a painting"], [photos || !ownPhotos(), "a folder of photos"], [$("title").value.trim(), "a title"]].filter(([there]) => !there).map(([, what]) => what);
  if (missing.length) throw new Refused(`Choose ${missing.join(" and ")} first.`);
  const asked = { painting: painting.id, ...(ownPhotos() ? photos : {}), title: $("title").value, network: network(), steps: await countSteps(), strength: strengthOf($("strength").value), start: $("start").value, keep_frame: $("keep-frame").checked };
  for (const name of ["artist", "year", "license"]) asked[name] = $(name).value;
  const made = await write("/api/runs", asked);
  [shown, making, live] = [made.name, false, true];
  await refresh();
  $("run-title").focus();
}

// ---- try ----

const cardOf = (style) => `/api/styles/${style.name}/card?v=${encodeURIComponent(style.date + style.steps)}${tried?.kind === "photo" ? `&photo=${tried.preview}` : ""}`;
const partTitle = (part) => styleOf(part)?.title ?? part;
const isMix = (style) => style.styles.length > 1 && style.styles.includes($("part").value);
/** What is chosen of a file that holds several styles, and how it paints. */
function chosenOf(style) {
  const mix = { part: $("part").value, other: $("other").value, share: $("share").value / 100 };
  return new URLSearchParams({
    ...(isMix(style) ? mix : {}),
    strength: strengthOf($("paint-strength").value),
    passes: $("passes").value,
    ground: $("ground").value,
    blend: $("blend").value / 100,
    colors: Number($("colors").checked),
  });
}
function titleOf(style) {
  if (!isMix(style)) return style.title;
  return partTitle($("part").value) + ($("other").value ? ` with ${partTitle($("other").value)}` : "");
}
const paintPath = (name, size) => `/api/styles/${name}/paint?photo=${tried.id}&size=${size}&${chosenOf(styleOf(name))}`;

function exportsOf(style) {
  const kinds = Object.keys(EXPORTS).filter((kind) => kind !== "adapter" || style.adapter);
  return kinds.map((kind) => button(EXPORTS[kind], async () => {
    const packed = ["app", "page"].includes(kind);
    if (packed) tell("Packing the file …", "The download begins by itself.", true);
    await download(`/api/styles/${style.name}/export/${kind}`);
    if (packed) $("notice").hidden = true;
  }, { ariaLabel: `Download ${style.title}: ${EXPORTS[kind]}` }));
}

function fill(select, first) {
  const value = select.value;
  const label = (style) => `${style.title}${style.artist ? `, ${style.artist}` : ""}`;
  const group = (name, own) => {
    const made = el("optgroup", { label: name }, ...state.styles.filter((style) => style.own === own).map((style) => new Option(label(style), style.name)));
    return made.children.length ? made : null;
  };
  select.replaceChildren(...[...first, group("Yours", true), group("That come with it", false)].filter(Boolean));
  if ([...select.options].some((option) => option.value === value)) select.value = value;
}

function showTry(size = SHOWN_SIZE) {
  $("try-none").hidden = Boolean(tried || camera);
  $("result").hidden = !$("try-none").hidden;
  $("save").disabled = !(tried?.kind === "photo" || ["done", "stopped"].includes(tried?.state));
  put("save", tried?.kind === "film" ? "Download the film" : "Download the picture");
  put("blend-value", `${$("blend").value} %`);
  put("share-value", `${$("share").value} %`);
  showStrength("paint-strength");
  const style = styleOf($("style").value);
  if (!style) return;
  if ($("try-exports").dataset.style !== style.name) {
    $("try-exports").dataset.style = style.name;
    $("part").replaceChildren(...style.styles.map((part) => new Option(partTitle(part), part)));
    $("other").replaceChildren(new Option("nothing", ""), ...style.styles.map((part) => new Option(partTitle(part), part)));
    $("mix").hidden = style.styles.length < 2;
    $("try-exports").replaceChildren(el("p", { className: "quiet", textContent: "Download the style" }), el("div", { className: "row" }, ...exportsOf(style)));
  }
  $("share-row").hidden = !$("other").value;
  if (tried?.kind === "photo" && !camera) return paintPhoto(size);
  $("second-picture").hidden = $("divider").hidden = true;
  put("first-caption", "");
  put("second-caption", "");
}

let wanted = 0, painter = null; // the size of the newest wish, and who sees to it
/** Paint the photo as everything is set now. While one picture is painted, only the newest wish waits. */
function paintPhoto(size) {
  wanted = size;
  painter ??= paintWanted().finally(() => { painter = null; });
  return painter;
}

async function paintWanted() {
  put("try-status", "Painting …");
  try {
    while (wanted && tried?.kind === "photo" && !camera) {
      const photo = tried, style = styleOf($("style").value), size = wanted, compared = $("compare").value;
      wanted = 0;
      /** Paint the photo and show it, unless something else is looked at by then; say whether it is shown. */
      const paint = async (id, one) => {
        const url = URL.createObjectURL(await (await ask(paintPath(one.name, size))).blob());
        const stays = tried === photo && !camera;
        if (stays) showPicture(id, url, `${photo.name} painted as ${titleOf(one)}`);
        else URL.revokeObjectURL(url);
        return stays;
      };
      try {
        if (!(await paint("try-picture", style))) continue;
        put("first-caption", titleOf(style));
        const other = styleOf(compared);
        if (compared === "photo") showPicture("second-picture", `/api/uploads/tries/${photo.preview}`, `The photo ${photo.name}`);
        else if (other && !wanted && !(await paint("second-picture", other))) continue;
        put("second-caption", compared === "photo" ? "The photo" : other ? titleOf(other) : "");
        $("second-picture").hidden = $("divider").hidden = compared === "none";
      } catch (error) {
        if (!wanted) throw error;
      }
    }
    wanted = 0;
  } finally {
    put("try-status", "");
  }
}

function showPicture(id, url, alt) {
  const old = $(id).getAttribute("src");
  if (old === url) return;
  if (old?.startsWith("blob:")) URL.revokeObjectURL(old);
  $(id).src = url;
  $(id).alt = alt;
}

const moveDivider = () => $("result").style.setProperty("--cut", $("divider").value / 100);

/** Show one of picture, canvas and film in the place of the result. */
function stage(id) {
  for (const one of ["try-picture", "try-canvas", "try-film"]) $(one).hidden = one !== id;
  for (const one of ["try-picture", "try-film"]) if (one !== id) $(one).removeAttribute("src");
}

async function takePhoto(file) {
  stopCamera();
  put("try-status", `Sending ${file.name} …`);
  try {
    const found = await write(`/api/tries?name=${encodeURIComponent(file.name)}`, file);
    tried = { kind: "photo", ...found, name: file.name.replace(/\.[^.]*$/, "") };
  } catch (error) {
    put("try-status", "");
    throw error;
  }
  stage("try-picture");
  await showTry();
}

async function takeFilm(file) {
  stopCamera();
  const style = $("style").value, name = file.name.replace(/\.[^.]*$/, "");
  put("try-status", `Sending ${file.name} …`);
  try {
    await write(`/api/styles/${style}/film?size=640&name=${encodeURIComponent(name)}&${chosenOf(styleOf(style))}`, file);
  } catch (error) {
    put("try-status", "");
    throw error;
  }
  tried = null;
  await refresh();
}

/** Show how far the newest film is; one that was begun before the page was loaded, too. */
function showFilm(film) {
  const painting = film?.state === "painting";
  $("film-bar").hidden = $("film-stop").hidden = !painting;
  if (painting && film.expected) $("film-bar").value = film.frames / film.expected;
  else $("film-bar").removeAttribute("value");
  if (film && !tried && !camera) {
    tried = { kind: "film", ...film, state: null };
    stage("try-film");
  }
  if (!film || tried?.identity !== film.identity) return;
  if (painting) put("try-status", `${film.frames}${film.expected ? ` of ${film.expected}` : ""} frames are painted.`);
  if (tried.state === film.state) return;
  tried.state = film.state;
  if (film.state === "failed") {
    put("try-status", "");
    tell(film.error, film.hint);
  } else if (!painting) {
    put("try-status", "The film is painted.");
    $("try-film").src = `/api/films/${film.identity}/file`;
  }
  showTry();
}

function stopCamera() {
  wished = false;
  if (!camera) return;
  closeCamera(camera);
  camera = null;
  $("camera").setAttribute("aria-pressed", "false");
  stage("try-picture");
  put("try-status", "");
  showTry();
}

async function startCamera() {
  wished = true;
  if (asking) return;
  asking = true;
  const stream = await openCamera({ width: { ideal: 640 }, facingMode: "user" }).finally(() => { asking = false; });
  if (!wished) return closeCamera(stream);
  camera = stream;
  stream.getVideoTracks()[0].addEventListener("ended", stopCamera);
  const video = el("video", { muted: true, playsInline: true, srcObject: stream }), times = [];
  try {
    await video.play();
    if (camera !== stream) return;
    tried = null;
    stage("try-canvas");
    $("camera").setAttribute("aria-pressed", "true");
    await showTry();
    const scratch = el("canvas");
    while (camera === stream) {
      Object.assign(scratch, { width: FRAME_WIDTH, height: Math.round((FRAME_WIDTH * video.videoHeight) / video.videoWidth) }); // it may be turned
      scratch.getContext("2d").drawImage(video, 0, 0, scratch.width, scratch.height);
      const style = styleOf($("style").value);
      const answer = await ask(`/api/styles/${style.name}/frame?${chosenOf(style)}`, "POST", await jpegOf(scratch, 0.85));
      const painted = await createImageBitmap(await answer.blob());
      if (camera !== stream) break;
      Object.assign($("try-canvas"), { width: painted.width, height: painted.height });
      $("try-canvas").getContext("2d").drawImage(painted, 0, 0);
      times.push(performance.now());
      if (times.length > 10) times.shift();
      put("first-caption", times.length > 1 ? `${((1000 * (times.length - 1)) / (times.at(-1) - times[0])).toFixed(1)} frames a second` : "");
    }
  } catch (error) {
    if (camera !== stream) return;
    stopCamera();
    throw error;
  }
}

// ---- library ----

function showStyles() {
  const key = JSON.stringify([state.styles, tried?.preview]);
  if ($("library").dataset.key === key) return;
  $("library").dataset.key = key;
  const begun = $("style").value;
  fill($("style"), []);
  if (!begun && !state.styles[0].own) $("style").value = FIRST_STYLE;
  fill($("compare"), [new Option("the photo", "photo"), new Option("nothing", "none")]);
  const adapters = state.styles.filter((style) => !style.own && style.styles.length === 1 && style.network);
  const chosen = $("start").value;
  $("start").replaceChildren(...[...$("start").options].filter((option) => ["nearest", "scratch"].includes(option.value)), ...adapters.map((style) => new Option(`an adapter of ${style.title}: a small file`, style.name)));
  $("start").value = chosen;
  const own = state.styles.filter((style) => style.own).length;
  put("library-note", `${own} of yours, ${state.styles.length - own} that come with it. ${tried?.kind === "photo" ? `On your photo ${tried.name}.` : "Try a photo, and the cards show it."}`);
  $("styles").replaceChildren(...state.styles.map(cardFor));
  if (!$("try").hidden && !tried) showTry();
}

function cardFor(style) {
  const details = [style.artist, style.year, style.network && `network ${style.network}`, style.steps && `${style.steps} steps`].filter(Boolean);
  const actions = [button("Try", () => { $("style").value = style.name; location.hash = "#/try"; }, { ariaLabel: `Try ${style.title}` })];
  if (style.own) {
    actions.push(button("Rename", async () => {
      const title = await confirmed("Rename the style", "", "Rename", style.title);
      if (title === null) return;
      await write(`/api/styles/${style.name}/title`, { title });
      await refresh();
    }, { ariaLabel: `Rename ${style.title}` }));
    actions.push(button("Delete", () => remove(style.name, style.title), { ariaLabel: `Delete ${style.title}` }));
  }
  return el("li", { className: "style" },
    el("img", { src: cardOf(style), alt: `A picture painted as ${style.title}`, loading: "lazy", width: 480, height: 320 }),
    el("div", {}, el("h2", {}, style.title, ...(style.own ? [" ", el("span", { className: "tag", textContent: "yours" })] : [])), el("p", { className: "quiet", textContent: details.join(" · ") })),
    el("section", {}, el("div", { className: "row" }, ...actions),
      el("details", {}, el("summary", { textContent: "Download", ariaLabel: `Download ${style.title}` }), el("div", { className: "row" }, ...exportsOf(style)))));
}

// ---- wiring ----

for (const name of ["dragover", "drop"]) addEventListener(name, (event) => event.preventDefault()); // or the browser opens the file
addEventListener("hashchange", () => {
  route();
  $("main").focus({ preventScroll: true });
  scrollTo(0, 0);
});
$("notice-close").addEventListener("click", () => { $("notice").hidden = true; });
chooser("painting", takePainting);
chooser("photo", takePhoto);
chooser("film", takeFilm);
dropPlace($("painting-drop"), takePainting);
dropPlace($("try-drop"), (file) => (/^video\/|\.mkv$/.test(file.type || file.name) ? takeFilm(file) : takePhoto(file)));
when($("choose-folder"), "click", () => openFolder(""));
when($("shoot-open"), "click", openShoot);
when($("shoot-take"), "click", shoot);
when(document, "paste", (event) => {
  const file = [...event.clipboardData.files].find((one) => one.type.startsWith("image/"));
  if (!file) return;
  event.preventDefault();
  if (!$("try").hidden) return takePhoto(file);
  if (!$("make").hidden && !$("new").hidden) return takePainting(file, "that was pasted");
});
document.querySelectorAll("[name=photos]").forEach((radio) => when(radio, "change", () => {
  $("choose-folder").hidden = $("photos-chosen").hidden = !ownPhotos();
  if (ownPhotos() && !photos) return openFolder("");
}));
$("try-controls").addEventListener("submit", (event) => event.preventDefault());
for (const name of ["ask", "folders", "shoot"]) $(`${name}-cancel`).addEventListener("click", () => $(name).close());
$("folders-take").addEventListener("click", () => {
  photos = { folder: folder.path };
  const few = folder.photos < 100 ? " More would make a better style." : "";
  put("photos-chosen", `${folder.photos} ${folder.photos === 1 ? "photo" : "photos"} in ${folder.path}.${few}`);
  $("folders").close();
});
for (const id of ["steps", "minutes"]) $(id).addEventListener("input", showPace);
for (const choice of [$("start"), ...document.querySelectorAll("[name=network]")]) {
  choice.addEventListener("change", () => {
    unmeasured = null;
    showPace();
  });
}
$("strength").addEventListener("input", () => showStrength("strength"));
$("new").addEventListener("submit", async (event) => {
  event.preventDefault();
  $("new-problem").hidden = true;
  starting = $("start-training").disabled = true;
  unmeasured = null;
  try {
    await start();
  } catch (error) {
    $("new-problem").textContent = `${error.message} ${error.hint ?? ""}`;
    $("new-problem").hidden = false;
  } finally {
    starting = $("start-training").disabled = false;
  }
});
for (const what of ["pause", "stop", "resume"]) when($(`run-${what}`), "click", () => wish(what));
when($("run-delete"), "click", () => remove(shown, $("run-title").textContent));
$("run-try").addEventListener("click", () => { $("style").value = shown; });
$("run-new").addEventListener("click", () => { [shown, making] = [null, true]; show(); $("make-title").scrollIntoView(); $("painting").focus(); });
$("scrub").addEventListener("input", () => {
  live = $("scrub").value === $("scrub").max;
  const run = state.runs.find((one) => one.name === shown);
  if (run) showPreviews(run);
});
for (const id of ["style", "part", "other", "ground", "compare", "colors"]) when($(id), "change", () => showTry());
for (const id of ["paint-strength", "passes", "blend", "share"]) {
  when($(id), "input", () => {
    const passes = Number($("passes").value) ? $("passes").value : null;
    put("passes-value", passes ?? "auto");
    $("passes").setAttribute("aria-valuetext", passes ?? "automatic");
    return showTry(LIVE_SIZE);
  });
  when($(id), "change", () => showTry());
}
$("divider").addEventListener("input", moveDivider);
when($("camera"), "click", () => (camera ? stopCamera() : startCamera()));
when($("film-stop"), "click", () => write(`/api/films/${state.film.identity}/stop`));
when($("save"), "click", () => (tried.kind === "film" ? download(`/api/films/${tried.identity}/file`, `${tried.name}-${tried.style}.mp4`) : download(paintPath($("style").value, 0), `${tried.name}-${$("style").value}.jpg`)));
showStrength("strength");
moveDivider();
route();
poll();
