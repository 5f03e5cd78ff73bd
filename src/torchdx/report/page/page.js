// Draws the charts of the page and the picture of the network; keeps a live page up to date.

const embed = window.vegaEmbed;
const configs = JSON.parse(document.getElementById("configs").textContent);
const ROW = 20; // pixels of a row of the network, as in the style sheet
const MANY_ROWS = 60; // from here on the tree begins folded
const NOT_FINITE = "not finite";

// ---- paper -------------------------------------------------------------------------------------

const wished = matchMedia("(prefers-color-scheme: dark)");
let chosenPaper = null;
try { chosenPaper = sessionStorage.getItem("torchdx-paper"); } catch { /* no storage from a file */ }

function paper() {
  return chosenPaper || (wished.matches ? "dark" : "light");
}

function setPaper() {
  document.documentElement.dataset.paper = paper();
}

setPaper();
wished.addEventListener("change", () => { setPaper(); drawAll(); });
document.getElementById("paper").addEventListener("click", () => {
  chosenPaper = paper() === "dark" ? "light" : "dark";
  try { sessionStorage.setItem("torchdx-paper", chosenPaper); } catch { /* as above */ }
  setPaper();
  drawAll();
});

// ---- charts ------------------------------------------------------------------------------------

function expanded(part, width) {
  if (Array.isArray(part)) return part.map((inner) => expanded(inner, width));
  if (part === null || typeof part !== "object") return part;
  if (part.columns && !Array.isArray(part.columns) && typeof part.columns === "object") {
    const names = Object.keys(part.columns);
    const count = names.length ? part.columns[names[0]].length : 0;
    const values = Array.from({ length: count }, (_, i) =>
      Object.fromEntries(names.map((name) => [name, part.columns[name][i]])));
    return { values };
  }
  return Object.fromEntries(Object.entries(part).map(([key, value]) =>
    [key, key === "width" && value === "fill" ? width : expanded(value, width)]));
}

async function draw(place, chart, options = {}) {
  const width = Math.floor(place.clientWidth);
  if (!width) return null; // not to be seen now; drawn when it is opened
  const spec = {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    ...expanded(chart, width),
    autosize: { type: chart.vconcat || typeof chart.width === "number" ? "pad" : "fit-x", contains: "padding" },
    padding: options.padding ?? { left: 0, right: 8, top: 4, bottom: 2 },
  };
  if (chart.vconcat) spec.vconcat = spec.vconcat.map((panel) => ({ ...panel, width: width - (options.margin ?? 104) }));
  if (place.finalize) place.finalize();
  const made = await embed(place, spec, {
    mode: "vega-lite", actions: false, renderer: options.renderer ?? "svg", config: configs[paper()],
    logLevel: 1, // errors alone; what it warns of is meant so
    tooltip: { theme: "custom", sanitize: escaped },
  });
  place.finalize = made.finalize;
  return made.view;
}

function escaped(value) {
  return String(value).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
}

function drawFigures(inside = document) {
  return Promise.all([...inside.querySelectorAll("figure.chart")].map((figure) =>
    draw(figure.querySelector(".canvas"), JSON.parse(figure.querySelector("script").textContent))));
}

// ---- the network -------------------------------------------------------------------------------

const network = { data: null, signal: "", place: "", folded: new Set(), rows: [] };

function inside(path, holder) {
  return holder === "" ? path !== "" : path.startsWith(holder + ".");
}

function readNetwork() {
  const element = document.getElementById("network-data");
  if (!element) return false;
  const first = network.data === null;
  network.data = JSON.parse(element.textContent);
  const { parts, pictures } = network.data;
  network.holders = new Set(parts.filter((p) => parts.some((q) => q !== p && inside(q.path, p.path)
    && q.depth > p.depth)).map((p) => p.path));
  if (first) {
    const wanted = pictures.some((p) => p.signal === network.data.signal) ? network.data.signal : pictures[0].signal;
    network.signal = wanted;
    if (parts.length > MANY_ROWS) parts.forEach((p) => { if (p.depth && network.holders.has(p.path)) network.folded.add(p.path); });
    const measured = pictures.find((p) => p.signal === wanted).places;
    const meant = network.data.place;
    network.place = measured.find((p) => p === meant || (p && meant.startsWith(p + "."))) ?? measured[0];
    parts.forEach((p) => { if (inside(network.place, p.path)) network.folded.delete(p.path); });
  }
  return true;
}

function picture() {
  return network.data.pictures.find((p) => p.signal === network.signal) ?? network.data.pictures[0];
}

function shownParts() {
  const hidden = (part) => [...network.folded].some((path) => inside(part.path, path));
  return network.data.parts.filter((part) => !hidden(part));
}

function median(values) {
  const numbers = values.filter((v) => typeof v === "number").sort((a, b) => a - b);
  return numbers.length ? numbers[Math.floor(numbers.length / 2)] : null;
}

/** The values of a row: a layer's own; of folded modules the median of what they hold. */
function valuesOf(part) {
  const { places, values } = picture();
  const own = places.indexOf(part.path);
  if (own >= 0 && !network.folded.has(part.path)) return { values: values[own], of: 1 };
  if (!network.folded.has(part.path)) return null;
  const held = places.map((p, i) => [p, i]).filter(([p]) => p === part.path || inside(p, part.path)).map(([, i]) => values[i]);
  if (!held.length) return null;
  const column = (k) => (held.some((row) => row[k] === NOT_FINITE) ? NOT_FINITE : median(held.map((row) => row[k])));
  return { values: held[0].map((_, k) => column(k)), of: held.length };
}

function number(value) {
  if (value === null || value === undefined) return "not measured";
  if (typeof value !== "number") return value;
  const size = Math.abs(value);
  return size && (size >= 1e5 || size < 1e-3) ? value.toExponential(2) : String(Number(value.toPrecision(3)));
}

function cells(rows) {
  const { steps, scale } = picture();
  const found = [];
  rows.forEach(({ part, known }, row) => {
    if (!known) return;
    const line = part.made ? `${part.made.file}:${part.made.line}` : "not known";
    known.values.forEach((value, k) => {
      if (value === null) return;
      const finite = typeof value === "number";
      const drawn = finite ? (scale === "log" && value <= 0 ? 1e-30 : value) : null;
      const layer = (part.path || part.cls) + (known.of > 1 ? ` (median of ${known.of})` : "");
      found.push({ row, place: layer, cls: part.cls, line, step: steps[k], value: drawn, said: number(value) });
    });
  });
  return found;
}

async function drawNetwork() {
  if (!readNetwork()) return;
  const section = document.getElementById("network");
  drawChooser(section.querySelector(".chooser"));
  section.querySelector(".about").textContent = picture().about;
  network.rows = shownParts().map((part) => ({ part, known: valuesOf(part) }));
  drawTree(section.querySelector(".tree"));
  drawRamp(section.querySelector(".ramp"));
  await drawCells(section.querySelector(".cells"));
  await drawLayer(section.querySelector(".layer"));
}

function drawChooser(element) {
  if (element.childElementCount === network.data.pictures.length) return;
  element.replaceChildren(...network.data.pictures.map(({ signal, title }) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "signal", value: signal, checked: signal === network.signal });
    input.addEventListener("change", () => { network.signal = signal; drawNetwork(); });
    label.append(input, title);
    return label;
  }));
}

function drawRamp(element) {
  const { scale, unit, frame } = picture();
  const [low, high] = frame.encoding.color.scale.domain;
  const told = (v) => (scale === "share" ? `${Math.round(v * 100)}%` : number(v));
  element.querySelector(".low").textContent = told(low);
  element.querySelector(".high").textContent = `${told(high)}${unit ? " " + unit : ""}${scale === "log" ? " (log)" : ""}`;
}

function drawTree(element) {
  const focused = element.contains(document.activeElement);
  element.replaceChildren(...network.rows.map(({ part }) => {
    const item = document.createElement("li");
    const holder = network.holders.has(part.path);
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", part.depth + 1);
    item.setAttribute("aria-selected", part.path === network.place);
    if (holder) item.setAttribute("aria-expanded", !network.folded.has(part.path));
    item.tabIndex = part.path === network.place ? 0 : -1;
    item.style.paddingLeft = `${part.depth * 0.8}rem`;
    item.title = `${part.path || "the model"}: ${part.cls}`;
    const span = (cls, text) => Object.assign(document.createElement("span"), { className: cls, textContent: text });
    const twist = span("twist", holder ? (network.folded.has(part.path) ? "▸" : "▾") : "");
    twist.addEventListener("click", (event) => { event.stopPropagation(); fold(part.path); });
    item.append(twist, span("name", part.name || part.cls), span("cls", part.name ? part.cls : ""));
    item.addEventListener("click", () => choose(part.path));
    item.addEventListener("keydown", (event) => key(event, part));
    return item;
  }));
  if (!element.querySelector("[tabindex='0']") && element.firstElementChild) element.firstElementChild.tabIndex = 0;
  if (focused) element.querySelector("[tabindex='0']")?.focus();
}

function fold(path) {
  if (network.folded.has(path)) network.folded.delete(path); else network.folded.add(path);
  drawNetwork();
}

function choose(path) {
  network.place = path;
  drawNetwork();
}

function key(event, part) {
  const paths = network.rows.map((row) => row.part.path);
  const at = paths.indexOf(part.path);
  const holder = network.holders.has(part.path);
  const folded = network.folded.has(part.path);
  const moves = {
    ArrowDown: () => at + 1 < paths.length && choose(paths[at + 1]),
    ArrowUp: () => at > 0 && choose(paths[at - 1]),
    Home: () => choose(paths[0]),
    End: () => choose(paths[paths.length - 1]),
    ArrowRight: () => (holder && folded ? fold(part.path) : at + 1 < paths.length && choose(paths[at + 1])),
    ArrowLeft: () => (holder && !folded ? fold(part.path) : at > 0 && choose(paths[at - 1])),
    Enter: () => holder && fold(part.path),
    " ": () => holder && fold(part.path),
  };
  if (!moves[event.key]) return;
  event.preventDefault();
  moves[event.key]();
}

async function drawCells(element) {
  const { frame } = picture();
  const chart = structuredClone(frame);
  chart.data = { values: cells(network.rows) };
  chart.height = network.rows.length * ROW;
  const columns = picture().steps.length;
  chart.width = columns * Math.max(1, Math.floor(element.clientWidth / columns)); // whole pixels: no seams
  const order = network.rows.map((_, i) => i);
  chart.encoding.y = { field: "row", type: "ordinal", sort: null, scale: { domain: order, padding: 0 }, axis: null };
  chart.encoding.color.legend = null;
  chart.encoding.tooltip.splice(1, 0, { field: "cls", title: "class" }, { field: "line", title: "made at" });
  chart.mark = { type: "rect", stroke: null, height: ROW - 2 };
  const at = network.rows.findIndex(({ part }) => part.path === network.place);
  const view = await draw(element, chart, { renderer: "canvas", padding: { left: 0, top: 0, right: 0, bottom: 0 } });
  view?.addEventListener("click", (_, item) => { if (item?.datum?.row !== undefined) choose(network.rows[item.datum.row].part.path); });
  element.dataset.chosen = at;
}

/** The shares of a histogram, runs of empty bins told as negative numbers. */
function unpacked(written) {
  return written.flatMap((value) => (value < 0 ? Array(-value).fill(0) : [value]));
}

async function drawHistograms(element) {
  for (const known of network.data.histograms) {
    const rows = known.values[known.places.indexOf(network.place)];
    if (!rows) continue;
    const values = rows.flatMap((written, k) => unpacked(written ?? []).map((share, bin) =>
      ({ step: known.steps[k], bin, about: known.bins[bin], share: share / 1000, dense: share / 1000 / known.octaves[bin], place: network.place })))
      .filter(({ share }) => share > 0);
    const place = Object.assign(document.createElement("div"), { className: "canvas" });
    const title = Object.assign(document.createElement("h4"), { textContent: `histogram of ${known.title}` });
    const part = Object.assign(document.createElement("div"), { className: "spread" });
    part.append(title, place);
    element.append(part);
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", `histograms of the ${known.title} of ${network.place} over steps`);
    const chart = structuredClone(known.frame);
    const step = { field: "step", type: "ordinal", title: "step", axis: { labelAngle: 0, labelOverlap: "greedy", grid: false } };
    Object.assign(chart, { data: { values }, width: "fill" });
    chart.encoding.x = step;
    chart.encoding.color.legend = null;
    chart.encoding.tooltip.unshift({ field: "step", title: "step" });
    await draw(place, chart, { renderer: "canvas" });
  }
}

async function drawLayer(element) {
  const part = network.data.parts.find((p) => p.path === network.place);
  const row = network.rows.find(({ part: p }) => p.path === network.place);
  if (!part) return;
  const shown = picture();
  const title = Object.assign(document.createElement("h3"), { textContent: part.path || part.cls });
  const facts = [part.cls, ...part.shapes.map(([name, shape]) => `${name} ${shape}`)];
  if (!part.trainable) facts.push("frozen");
  if (part.made) facts.push(`made at ${part.made.file}:${part.made.line}`);
  const about = Object.assign(document.createElement("p"), { className: "faint", textContent: facts.join(" · ") });
  const place = Object.assign(document.createElement("div"), { className: "canvas" });
  const spreads = Object.assign(document.createElement("div"), { className: "grid" });
  element.replaceChildren(title, about, place, spreads);
  const known = row?.known;
  if (!known) {
    place.append(Object.assign(document.createElement("p"), { className: "note", textContent: `${shown.title} is not measured here: it is of the layers that compute something themselves.` }));
    return;
  }
  const numbers = known.values.filter((v) => typeof v === "number");
  const log = shown.scale === "log" && numbers.some((v) => v > 0);
  const values = shown.steps.map((step, k) => ({ step, value: known.values[k] })).filter(({ value }) => typeof value === "number" && (!log || value > 0));
  const scale = shown.scale === "share" ? { domain: [0, 1] } : log ? { type: "log" } : { zero: false };
  place.setAttribute("role", "img");
  place.setAttribute("aria-label", `${shown.title} of ${part.path}: from ${number(known.values[0])} to ${number(known.values.at(-1))}`);
  await draw(place, {
    data: { values }, width: "fill", height: 110, mark: { type: "line", point: { size: 22 } },
    encoding: {
      x: { field: "step", type: "quantitative", title: "step", axis: { grid: false, tickMinStep: 1 }, scale: { domain: [shown.steps[0], shown.steps.at(-1)], nice: false } },
      y: { field: "value", type: "quantitative", title: shown.title, scale, axis: { tickCount: 4, format: log ? "~e" : shown.scale === "share" ? "~p" : "~g" } },
      tooltip: [{ field: "step", title: "step" }, { field: "value", title: shown.title }],
    },
  });
  await drawHistograms(spreads);
}

// ---- all together ------------------------------------------------------------------------------

function drawAll() {
  return Promise.all([drawFigures(), drawNetwork()]);
}

let resizing = 0;
let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  clearTimeout(resizing);
  resizing = setTimeout(drawAll, 150);
});
document.addEventListener("toggle", (event) => { if (event.target.open) drawFigures(event.target); }, true);
addEventListener("beforeprint", () => document.querySelectorAll("details.finding").forEach((d) => { d.open = true; }));

// ---- a run that goes on ------------------------------------------------------------------------

const EVERY_MS = 2000;

let tag = "";

async function follow() {
  let text;
  try {
    const answer = await fetch(location.href, { headers: tag ? { "If-None-Match": tag } : {} });
    if (answer.status === 304) { setTimeout(follow, EVERY_MS); return; }
    if (!answer.ok) throw new Error(String(answer.status));
    tag = answer.headers.get("ETag") ?? "";
    text = await answer.text();
  } catch {
    document.querySelector(".state")?.replaceChildren("no longer served");
    return;
  }
  const next = new DOMParser().parseFromString(text, "text/html");
  const open = new Set([...document.querySelectorAll("details[open]")].map((d) => d.id));
  let changed = false;
  for (const selector of [".run", ...[...next.querySelectorAll("main > *")].map((e) => (e.id ? `#${e.id}` : null)).filter(Boolean)]) {
    const now = document.querySelector(selector);
    const then = next.querySelector(selector);
    if (!now) { document.getElementById("main").append(document.importNode(then, true)); changed = true; continue; }
    changed = (selector === "#network" ? swapData(then) : swap(now, then)) || changed;
  }
  document.title = next.title;
  if (changed) {
    document.querySelectorAll("details[id]").forEach((d) => { if (open.has(d.id)) d.open = true; });
    await drawAll();
  }
  if (next.documentElement.hasAttribute("data-live")) setTimeout(follow, EVERY_MS);
}

const sources = new Map();

function swap(now, then) {
  const source = then.outerHTML;
  if (sources.get(then.id || "run") === source) return false;
  sources.set(then.id || "run", source);
  now.replaceWith(document.importNode(then, true));
  return true;
}

function swapData(then) {
  const now = document.getElementById("network-data");
  const text = then.querySelector("#network-data").textContent;
  if (now.textContent === text) return false;
  now.textContent = text;
  return true;
}

await drawAll();
document.documentElement.dataset.drawn = "yes";
if (document.documentElement.hasAttribute("data-live")) setTimeout(follow, EVERY_MS);
