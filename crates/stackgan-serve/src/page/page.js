"use strict";
// The page of `stackgan serve`: asks for pictures and shows them. What people type is put into the page as text, never as markup.

const at = (id) => document.getElementById(id);
const ROWS = 24; // rows that are kept on the page
let models = [];
const SIZES = { 1: "64 × 64", 2: "256 × 256" }; // of each stage
const SLIDERS = { z: "z_scale", eps: "eps_scale" };
const moved = new Set(); // sliders that were moved: without, a model paints with noise of its own

// The token of a server that others can reach: behind # in the address, so that it is sent to no server and is in no log.
// All that is behind #token= is the token: + and % are characters of it.
const TOKEN = "#token=";

// Paths are relative: a server in front may offer the page below a path of its own.
async function ask(path, body) {
  const headers = { "Content-Type": "application/json" };
  const token = location.hash.startsWith(TOKEN) ? location.hash.slice(TOKEN.length) : "";
  if (token) headers.Authorization = `Bearer ${token}`;
  const request = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  let status, text;
  try {
    const response = await fetch(path, request);
    status = response.status;
    text = await response.text();
  } catch {
    throw new Error("the server does not answer: is it still running?");
  }
  let told;
  try {
    told = JSON.parse(text);
  } catch {} // a page of a server in between
  if (status === 200 && (told?.data || told?.pictures)) return told;
  let why = told?.error?.message;
  if (!why) why = `a server in between answered with status ${status}, not the model's server`;
  else if (status === 401 && token) why = "the token in the address is not this server's";
  else if (status === 401) why = "this server wants its token: open the page with #token=… behind its address";
  throw Object.assign(new Error(why), { field: told?.error?.param });
}

function make(kind, text, className) {
  const element = document.createElement(kind);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function say(text, bad = false) {
  at("status").textContent = text;
  at("status").classList.toggle("bad", bad);
}

const model = () => models.find((m) => m.id === at("model").value) ?? models[0];

function chosen() {
  const stages = [2, 1].slice(2 - model().stages);
  at("stage").replaceChildren(...stages.map((stage) => new Option(SIZES[stage], stage)));
  asTrained();
}

function asTrained() {
  moved.clear();
  scales();
}

// Shows the noise that pictures of this size are painted with. A slider has steps, the model's own noise has none.
function scales() {
  const own = model().scales.find(({ stage }) => stage === Number(at("stage").value));
  for (const [id, name] of Object.entries(SLIDERS)) {
    if (!moved.has(id)) at(id).value = own[name];
    const value = moved.has(id) ? Number(at(id).value) : own[name];
    const short = value.toFixed(2);
    at(`${id}-shown`).textContent = Number(short) === value ? short : String(value);
  }
}

// A picture as a file in memory.
function blob(base64) {
  const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

function fileName({ caption, seed }) {
  const words = caption.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60);
  return `seed${String(seed).padStart(5, "0")}-${words || "picture"}.png`;
}

function open(provenance, name, url) {
  const image = at("full-image");
  image.src = url;
  image.alt = provenance.caption;
  image.classList.toggle("small", provenance.width < 128);
  at("full-caption").textContent = provenance.caption;
  const facts = [
    ["seed", provenance.seed],
    ["size", `${provenance.width} × ${provenance.height}`],
    ["noise", `picture ${provenance.z_scale}, words ${provenance.eps_scale}`],
    ["model", `${name}, SHA-256 ${provenance.model_sha256}`],
    ["pixels", `SHA-256 ${provenance.pixels_sha256}`],
  ];
  at("full-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  at("full-save").href = url;
  at("full-save").download = fileName(provenance);
  at("full").showModal();
}

// Puts what a row was painted from back into the fields.
function takeUp(asked) {
  const offered = models.some(({ id }) => id === asked.model);
  if (offered) at("model").value = asked.model;
  chosen();
  if (asked.stage <= model().stages) at("stage").value = asked.stage;
  for (const [id, name] of Object.entries(SLIDERS)) {
    if (asked[name] === undefined) continue;
    at(id).value = asked[name];
    moved.add(id);
  }
  scales();
  at("caption").value = asked.caption;
  at("seed").value = asked.seeds[0];
  at("count").value = asked.seeds.length;
  at("caption").focus();
  scrollTo({ top: 0 });
  if (!offered) say(`the model “${asked.model}” is not offered any more: “${model().id}” stays chosen`, true);
}

// A row with a place for every picture; what comes of it is filled in later.
function row(asked) {
  const section = make("article", undefined, "row waiting");
  section.classList.toggle("few", asked.seeds.length <= 4);
  const heading = make("div", undefined, "heading");
  heading.append(make("h2", asked.caption));
  if (models.length > 1) heading.append(make("span", `${asked.model}, ${SIZES[asked.stage]}`));
  const again = make("button", "Take up");
  again.title = "Put this sentence, these seeds and these settings back into the fields";
  again.type = "button";
  again.addEventListener("click", () => takeUp(asked));
  heading.append(again);
  const list = make("ul", undefined, "pictures");
  const blank = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==";
  for (const seed of asked.seeds) {
    const item = make("li");
    const image = make("img");
    image.src = blank;
    image.alt = "";
    item.append(image, make("span", `seed ${seed}`));
    list.append(item);
  }
  section.append(heading, list);
  at("rows").prepend(section);
  at("empty").hidden = true;
  return section;
}

function drop(section) {
  for (const image of section.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  section.remove();
}

function fill(section, told) {
  section.classList.remove("waiting");
  const items = told.pictures.map(({ provenance, png }) => {
    const url = URL.createObjectURL(blob(png));
    const button = make("button");
    button.type = "button";
    const image = make("img");
    image.src = url;
    image.alt = `${provenance.caption}, seed ${provenance.seed}`;
    button.append(image, make("span", `seed ${provenance.seed}`));
    button.addEventListener("click", () => open(provenance, told.model, url));
    const item = make("li");
    item.append(button);
    return item;
  });
  section.classList.toggle("small", (told.pictures[0]?.provenance.width ?? 256) < 128);
  section.querySelector("ul").replaceChildren(...items);
  for (const { message } of told.unread) section.querySelector(".heading").after(make("p", message, "warning"));
}

let busy = false;
let readings = 0; // of several at once, the last counts
const used = new Set(); // seeds that were painted

// The buttons are not `disabled`, because they would lose the focus.
function show() {
  for (const id of ["paint", "others"]) at(id).setAttribute("aria-disabled", busy || at("settings").disabled);
}

// Reads the list of models. Without it the form cannot be used, and the reason is shown; what was typed and chosen stays.
async function read() {
  const mine = ++readings;
  say("reading the list of models …");
  let failed = "";
  try {
    const told = await ask("v1/models");
    if (mine === readings) offer(told);
  } catch (error) {
    failed = error.message;
  }
  if (mine !== readings) return false;
  if (document.activeElement === at("retry") && !failed) at("caption").focus();
  at("settings").disabled = failed !== "";
  at("retry").hidden = !failed;
  show();
  say(failed, failed !== "");
  return !failed;
}

function offer(told) {
  if (told.data.length === 0) throw new Error("this server has no models");
  const before = model();
  models = told.data;
  at("count").max = told.limits.pictures;
  for (const id of Object.keys(SLIDERS)) at(id).max = told.limits.scale;
  at("caption").maxLength = told.limits.caption;
  at("model").replaceChildren(...models.map((m) => new Option(m.id, m.id, false, m.id === before?.id)));
  at("model-label").hidden = models.length < 2;
  const datasets = [...new Set(models.map((m) => m.dataset))].join(", ");
  at("about").textContent = `A sentence goes in, a picture comes out. Trained on: ${datasets}.`;
  if (model().sha256 !== before?.sha256) chosen();
}

// Whether pictures can be asked for.
async function ready() {
  if (busy || (at("settings").disabled && !(await read()))) return false;
  at("caption").value = at("caption").value.trim();
  return at("ask").reportValidity();
}

async function paint(first) {
  const count = Number(at("count").value);
  const { id, sha256 } = model();
  const asked = {
    model: id,
    caption: at("caption").value,
    seeds: Array.from({ length: count }, (_, i) => first + i),
    stage: Number(at("stage").value),
  };
  for (const [slider, name] of Object.entries(SLIDERS)) if (moved.has(slider)) asked[name] = Number(at(slider).value);
  busy = true;
  show();
  say("painting …");
  const section = row(asked);
  const begun = performance.now();
  try {
    const told = await ask("api/v1/generate", asked);
    const seconds = (performance.now() - begun) / 1000;
    fill(section, told);
    asked.seeds.forEach((seed) => used.add(seed));
    while (at("rows").children.length > ROWS) drop(at("rows").lastElementChild);
    const done = `${count} ${count === 1 ? "picture" : "pictures"} in ${seconds.toFixed(seconds < 10 ? 2 : 0)} s`;
    say(done);
    const changed = told.pictures[0].provenance.model_sha256 !== sha256 && (await read());
    if (changed) say(`${done}; the server's model “${id}” has changed, and these are the new one's`);
  } catch (error) {
    drop(section);
    at("empty").hidden = at("rows").children.length > 0;
    say(error.message, true);
    const changed = ["model", "stage"].includes(error.field) && (await read());
    if (changed) say(`the server's models have changed: now “${model().id}” is chosen; paint again`, true);
  }
  busy = false;
  show();
}

// Paints with the next seeds that were not used yet.
async function others() {
  if (!(await ready())) return;
  const shown = at("seed").value;
  let first = Number(shown);
  for (let seed = first; seed < first + Number(at("count").value); seed++) if (used.has(seed)) first = seed + 1;
  if (first > Number(at("seed").max)) return say("no larger seeds are left: choose a smaller first seed", true);
  await paint(first);
  if (used.has(first) && at("seed").value === shown) at("seed").value = first;
}

at("ask").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (await ready()) paint(Number(at("seed").value));
});
at("caption").addEventListener("invalid", () => say("type a sentence that should be painted", true));
at("others").addEventListener("click", others);
at("retry").addEventListener("click", read);
at("model").addEventListener("change", chosen);
at("stage").addEventListener("change", scales);
at("usual").addEventListener("click", asTrained);
for (const id of Object.keys(SLIDERS)) {
  at(id).addEventListener("input", () => {
    moved.add(id);
    scales();
  });
}
addEventListener("hashchange", read); // for another token
read();
