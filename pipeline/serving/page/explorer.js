// The page: a class, and for each level a point in the space of its noise, moved by hand.
"use strict";

const $ = (id) => document.getElementById(id);
const RANGE = 2.8;  // of pads and sliders, in standard deviations
const FRAMES = 9, VARIATIONS = 12;

let model = null;         // what the server says of the stack
let directions = {};      // by level: vectors and shares
let pads = {};            // by level: its card, see levels.js
let state = null;         // label, seed, and by level: g, moved (not the seed's own), locked
let walk = { from: null, to: null };
let undone = [];

const levels = () => model.levels.map(({ level }) => level).reverse();
const number = (limit) => crypto.getRandomValues(new Uint32Array(1))[0] % limit;
const copied = (s) => structuredClone(s);
const tell = (text, bad = false) => { $("told").textContent = text; $("told").classList.toggle("bad", bad); };
const guarded = (task) => async () => { try { await task(); } catch (error) { tell(error.message, true); } };

// What the server is asked for: noise that is the seed's own needs no numbers.
const question = () => {
  const z = {};
  for (const i of levels()) if (state.moved[i]) z[i] = Noise.toZ(state.g[i]);
  return { label: state.label, seed: state.seed, z };
};

// A class as `sgan sample --label` takes it: its number, or its name where that number names another.
const classOf = (label) => {
  const name = model.classes[label];
  if (!model.classes.some((other, k) => k !== label && other === String(label))) return String(label);
  return /^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", "'\\''")}'`;
};

const line = () => {
  const { label, seed, z } = question();
  const numbers = (values) => values.map((v) => String(v).replace(/^0\./, ".")).join(",");
  const noise = Object.entries(z).map(([i, values]) => ` --z ${i} ${numbers(values)}`).join("");
  const options = model.sample_options ? ` ${model.sample_options}` : "";
  return `sgan sample --label ${classOf(label)} --n 1 --seed ${seed}${noise}${options} --out sample.png`;
};

// The sample itself, as often as it can be drawn while something moves.
let milliseconds = 20;
const drawn = latest(guarded(async () => {
  $("explorer").dataset.busy = "1";
  const began = performance.now();
  const url = await Server.picture({ ...question(), scale: 1 });
  milliseconds = 0.7 * milliseconds + 0.3 * (performance.now() - began);
  await Server.show($("picture"), url);
  $("explorer").dataset.drawn = String(Number($("explorer").dataset.drawn || 0) + 1);
  $("explorer").dataset.busy = "0";
}));

const drawNearest = latest(guarded(async () => {
  if (!model.training_images) return;
  const near = await Server.nearest(question());
  $("near").src = `data:image/png;base64,${near.png}`;
  $("near").alt = `The nearest training image, of class ${near.class}`;
  $("near-told").textContent = `nearest in training: ${near.class}, ${near.distance.toFixed(2)} away`;
}), 350);

// Everything that shows where the sample stands, at once; pictures of its surroundings, when it rests.
const moved = () => {
  for (const i of levels()) pads[i].show(state.g[i], state.locked[i]);
  $("class-now").textContent = model.classes[state.label];
  $("picture").alt = `A sample of class ${model.classes[state.label]}`;
  $("line").textContent = line();
  const chosen = document.querySelector(`#classes [value="${state.label}"]`);
  if (chosen && chosen.tagName === "INPUT") chosen.checked = true;
  else if ($("classes").firstElementChild) $("classes").firstElementChild.value = String(state.label);
  $("undo").disabled = !undone.length;
  tell("");
  drawn();
  drawNearest();
  surroundings();
};

const surroundings = latest(guarded(async () => {
  for (const i of levels()) await pads[i].drawMap(state, milliseconds);
  await drawVariations();
  await drawStrip();
}), 300);

const remember = () => { undone = [...undone.slice(-49), copied(state)]; };
const restore = (before) => { if (before) { state = before; moved(); } };

// Takes one image of an answer as the sample; what is locked keeps its own noise.
const take = (image) => {
  state.seed = image.seed;
  for (const i of levels()) {
    if (state.locked[i]) state.moved[i] = true;
    else { state.g[i] = Noise.fromZ(image.z[i]); state.moved[i] = false; }
  }
};

const newSample = guarded(async () => {
  const { images } = await Server.samples({ label: state.label });
  remember();
  take(images[0]);
  moved();
});

const redraw = (level) => guarded(async () => {
  const { images } = await Server.samples({ label: state.label });
  remember();
  state.g[level] = Noise.fromZ(images[0].z[level]);
  state.moved[level] = true;
  moved();
})();

const choose = (label) => { remember(); state.label = label; moved(); };

const drawClasses = () => {
  const chip = (name, k) => {
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "class", value: k });
    const label = Object.assign(document.createElement("label"), { className: "chip" });
    label.append(input, name);
    return label;
  };
  const menu = () => {
    const select = document.createElement("select");
    select.setAttribute("aria-labelledby", "y-title");
    model.classes.forEach((name, k) => select.append(new Option(name, k)));
    return select;
  };
  const few = model.classes.length <= 24;
  $("classes").replaceChildren(...(few ? model.classes.map(chip) : [menu()]));
  $("classes").onchange = (event) => choose(Number(event.target.value));
};

// Other draws of all that is not locked.
let variationSeed = number(2 ** 31), variationsOf = "";
const drawVariations = async () => {
  const z = {};
  for (const i of levels()) if (state.locked[i]) z[i] = Noise.toZ(state.g[i]);
  const body = { label: state.label, seed: variationSeed, count: VARIATIONS, z };
  const key = JSON.stringify(body);
  if (key === variationsOf) return;
  const { images } = await Server.samples(body);
  variationsOf = key;
  const free = levels().filter((i) => !state.locked[i]).map((i) => `z_${i}`);
  $("vary-told").textContent = free.length
    ? `Drawn anew: ${free.join(", ")}. Lock a level to see what the others decide; click one to go there.`
    : "Every level is locked: these are all the same.";
  $("variations").replaceChildren(...images.map((image, k) => {
    const button = Object.assign(document.createElement("button"), { type: "button", title: `seed ${image.seed}` });
    const picture = Object.assign(document.createElement("img"), { className: "pixels", src: `data:image/png;base64,${image.png}` });
    picture.alt = `Variation ${k + 1}`;
    button.append(picture);
    button.onclick = () => { remember(); take(image); moved(); };
    return button;
  }));
};

const onWalk = (t) => Object.fromEntries(levels().map((i) =>
  [i, state.locked[i] ? state.g[i] : Noise.between(walk.from[i], walk.to[i], t)]));

let stripOf = "";
const drawStrip = async () => {
  const frames = Array.from({ length: FRAMES }, (_, k) => onWalk(k / (FRAMES - 1)));
  const z = Object.fromEntries(levels().map((i) => [i, frames.map((g) => Noise.toZ(g[i]))]));
  const body = { label: state.label, seed: 0, count: FRAMES, columns: FRAMES, scale: 1, gap: 1, z };
  const key = JSON.stringify(body);
  if (key === stripOf) return;
  await Server.show($("strip"), await Server.picture(body));
  stripOf = key;
};

const walkTo = (t) => {
  const g = onWalk(t);
  for (const i of levels()) if (!state.locked[i]) { state.g[i] = g[i]; state.moved[i] = true; }
  moved();
};

let playing = 0;
const play = () => {
  const stop = playing;
  cancelAnimationFrame(playing);
  playing = 0;
  $("play").setAttribute("aria-pressed", String(!stop));
  $("play").textContent = stop ? "Play" : "Stop";
  if (stop) return;
  remember();
  const began = performance.now();
  const frame = (now) => {
    const t = (1 - Math.cos((now - began) / 1600)) / 2;
    $("step").value = t;
    walkTo(t);
    playing = requestAnimationFrame(frame);
  };
  playing = requestAnimationFrame(frame);
};

const save = guarded(async () => {
  const link = document.createElement("a");
  link.href = await Server.picture(question());  // as `sgan sample` writes it
  link.download = `sample-${model.classes[state.label]}-${state.seed}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});

const copy = async () => {
  try {
    await navigator.clipboard.writeText(line());
    tell("Copied.");
  } catch {
    getSelection().selectAllChildren($("line"));
    tell("Marked; copy it from there.");
  }
};

const theme = () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const root = document.documentElement.dataset;
  const now = root.theme || (dark ? "dark" : "light");
  const name = () => { $("theme").textContent = (root.theme || now) === "dark" ? "Light" : "Dark"; };
  $("theme").onclick = () => {
    root.theme = (root.theme || now) === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.theme); } catch { /* a browser without a memory */ }
    name();
  };
  name();
};

const keys = { n: newSample, u: () => $("undo").click(), d: save, c: copy, p: play, v: () => $("vary").click() };
const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select, textarea")) return;
  if (/^\d$/.test(event.key) && Number(event.key) < model.classes.length) choose(Number(event.key));
  else if (Object.hasOwn(keys, event.key)) keys[event.key]();
};

const learn = async () => {
  model = await Server.model();
  const { height, width, channels } = model.image;
  const version = model.model.startsWith("models:") ? `version ${model.version}` : model.sha256.slice(0, 8);
  $("served").textContent = `${model.model} · ${version} · ${width}×${height} ${channels === 1 ? "grey" : "colour"}`;
  $("nearest").hidden = !model.training_images;
  document.body.classList.toggle("large", height > 200);
  drawClasses();
  $("served").append(" · finding what the noise does …");
  directions = Object.fromEntries((await Server.directions()).levels.map((d) => [d.level, d]));
  $("served").lastChild.remove();
  pads = Object.fromEntries(levels().map((i) => [i, levelCard(i, levels().length)]));
  $("levels").replaceChildren(...levels().map((i) => pads[i].card));
};

const begin = async () => {
  theme();
  await learn();
  const { images } = await Server.samples({ label: Math.min(3, model.classes.length - 1), count: 2 });
  const g = (image) => Object.fromEntries(levels().map((i) => [i, Noise.fromZ(image.z[i])]));
  const all = (value) => Object.fromEntries(levels().map((i) => [i, value]));
  state = { label: images[0].label, seed: images[0].seed, g: g(images[0]), moved: all(false), locked: all(false) };
  walk = { from: g(images[0]), to: g(images[1]) };
  $("new").onclick = newSample;
  $("undo").onclick = () => restore(undone.pop());
  $("download").onclick = save;
  $("copy").onclick = copy;
  $("vary").onclick = () => { variationSeed = number(2 ** 31); surroundings(); };
  $("from").onclick = () => { walk.from = copied(state.g); $("step").value = 0; surroundings(); };
  $("to").onclick = () => { walk.to = copied(state.g); $("step").value = 1; surroundings(); };
  $("step").oninput = () => walkTo(Number($("step").value));
  $("step").onpointerdown = remember;
  $("play").onclick = play;
  addEventListener("keydown", onKey);
  if (innerWidth < 720) document.querySelector(".line").open = false;
  Server.onSwitch(guarded(async () => {
    const same = JSON.stringify(model.levels);
    await learn();
    if (JSON.stringify(model.levels) !== same) location.reload();
    variationsOf = stripOf = "";
    moved();
    tell("The server has taken up another model; the same noise, drawn by it.");
  }));
  $("explorer").hidden = false;
  moved();
};

begin().catch((error) => { $("served").textContent = error.message; });
