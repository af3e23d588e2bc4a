"use strict";
// The page of `stackgan serve`: asks for pictures and shows them. What people type is put into the page as text, never as markup.

const at = (id) => document.getElementById(id);
const ROWS = 24; // rows that are kept on the page
let models = [];
let limits = { pictures: 8, caption: 1000, scale: 4 };
const SLIDERS = { z: "z_scale", eps: "eps_scale" };
const moved = new Set(); // sliders that were moved: without, a model paints with noise of its own

// The token of a server that others can reach: behind # in the address, so that it is sent to no server and is in no log.
// All that is behind #token= is the token: + and % are characters of it.
const token = location.hash.startsWith("#token=") ? location.hash.slice("#token=".length) : "";
const headers = { "Content-Type": "application/json" };
if (token) headers.Authorization = `Bearer ${token}`;
addEventListener("hashchange", () => location.reload()); // a browser alone does not load the page again for another token

async function ask(path, body) {
  const request = body ? { method: "POST", headers, body: JSON.stringify(body) } : { headers };
  let response;
  try {
    response = await fetch(path, request);
  } catch {
    throw new Error("the server does not answer: is it still running?");
  }
  const told = await response.json();
  if (response.ok) return told;
  const needed = "this server wants its token: open the page with #token=… behind its address";
  throw new Error(response.status === 401 ? needed : told.error.message);
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
  const { stages } = model();
  const sizes = [["2", "256 × 256"], ["1", "64 × 64"]].slice(2 - stages);
  at("stage").replaceChildren(...sizes.map(([value, name]) => new Option(name, value)));
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

function open(provenance, url) {
  const image = at("full-image");
  image.src = url;
  image.alt = provenance.caption;
  image.classList.toggle("small", provenance.width < 128);
  at("full-caption").textContent = provenance.caption;
  const facts = [
    ["seed", provenance.seed],
    ["size", `${provenance.width} × ${provenance.height}`],
    ["noise", `picture ${provenance.z_scale}, words ${provenance.eps_scale}`],
    ["model", `SHA-256 ${provenance.model_sha256}`],
    ["pixels", `SHA-256 ${provenance.pixels_sha256}`],
  ];
  at("full-facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
  at("full-save").href = url;
  at("full-save").download = fileName(provenance);
  at("full").showModal();
}

// A row with a place for every picture; what comes of it is filled in later.
function row(asked) {
  const section = make("article", undefined, "row waiting");
  section.classList.toggle("few", asked.seeds.length <= 4);
  const heading = make("h2", asked.caption);
  const again = make("button", "Take up");
  again.title = "Put this sentence and these seeds back into the fields";
  again.type = "button";
  again.addEventListener("click", () => {
    at("caption").value = asked.caption;
    at("seed").value = asked.seeds[0];
    at("count").value = asked.seeds.length;
    at("caption").focus();
    scrollTo({ top: 0 });
  });
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
  while (at("rows").children.length > ROWS) drop(at("rows").lastElementChild);
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
    button.addEventListener("click", () => open(provenance, url));
    const item = make("li");
    item.append(button);
    return item;
  });
  section.classList.toggle("small", (told.pictures[0]?.provenance.width ?? 256) < 128);
  section.querySelector("ul").replaceChildren(...items);
  for (const { message } of told.unread) section.querySelector("h2").after(make("p", message, "warning"));
}

let busy = false;

async function paint() {
  if (busy || !at("ask").reportValidity() || models.length === 0) return;
  const count = Number(at("count").value);
  const first = Number(at("seed").value);
  const asked = {
    model: model().id,
    caption: at("caption").value,
    seeds: Array.from({ length: count }, (_, i) => first + i),
    stage: Number(at("stage").value),
  };
  for (const [id, name] of Object.entries(SLIDERS)) if (moved.has(id)) asked[name] = Number(at(id).value);
  busy = true;
  at("paint").disabled = at("others").disabled = true;
  say("painting …");
  const section = row(asked);
  const begun = performance.now();
  try {
    fill(section, await ask("/api/v1/generate", asked));
    const seconds = (performance.now() - begun) / 1000;
    say(`${count} ${count === 1 ? "picture" : "pictures"} in ${seconds.toFixed(seconds < 10 ? 2 : 0)} s`);
  } catch (error) {
    drop(section);
    at("empty").hidden = at("rows").children.length > 0;
    say(error.message, true);
  }
  busy = false;
  at("paint").disabled = at("others").disabled = false;
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  paint();
});
at("others").addEventListener("click", () => {
  at("seed").value = Number(at("seed").value) + Number(at("count").value);
  paint();
});
at("model").addEventListener("change", chosen);
at("stage").addEventListener("change", scales);
at("usual").addEventListener("click", asTrained);
for (const id of Object.keys(SLIDERS)) {
  at(id).addEventListener("input", () => {
    moved.add(id);
    scales();
  });
}

ask("/v1/models")
  .then((told) => {
    models = told.data;
    limits = told.limits;
    at("count").max = limits.pictures;
    for (const id of Object.keys(SLIDERS)) at(id).max = limits.scale;
    at("caption").maxLength = limits.caption;
    at("model").replaceChildren(...models.map((m) => new Option(m.id, m.id)));
    at("model-label").hidden = models.length < 2;
    const datasets = [...new Set(models.map((m) => m.dataset))].join(", ");
    at("about").textContent = `A sentence goes in, a picture comes out. Trained on: ${datasets}.`;
    chosen();
  })
  .catch((error) => say(error.message, true));
