// The card of a level: a pad over the two directions that change the image most, sliders for some more.
"use strict";

const WHAT = {
  top: "the pose, by the paper: what the class leaves open",
  middle: "what the levels above leave open",
  lowest: "the detail: all that the features leave open",
  only: "all that the class leaves open",
};

const levelCard = (level, count) => {
  const { vectors, shares } = directions[level];
  const card = $("level").content.cloneNode(true).firstElementChild;
  const part = (selector) => card.querySelector(selector);
  const pad = part(".pad"), at = part(".at"), map = part(".map");
  const flat = vectors.length < 2;
  part(".name").append("z", Object.assign(document.createElement("sub"), { textContent: level }));
  const place = count === 1 ? "only" : level === count - 1 ? "top" : level ? "middle" : "lowest";
  part(".what").textContent = WHAT[place];
  card.dataset.level = level;
  part(".lock").setAttribute("aria-label", `Lock z_${level}`);
  part(".redraw").setAttribute("aria-label", `New z_${level}`);
  pad.setAttribute("aria-label", `Pad of z_${level}: arrows move along its first two directions`);
  pad.hidden = flat;
  part(".moves").classList.toggle("flat", flat);

  // Moves along direction k to position t.
  const go = (k, t) => {
    const to = Math.max(-RANGE, Math.min(RANGE, t));
    const g = state.g[level];
    state.g[level] = Noise.along(g, vectors[k], to - Noise.dot(g, vectors[k]));
    state.moved[level] = true;
  };

  const sliders = vectors.map((_, k) => {
    const input = Object.assign(document.createElement("input"), { type: "range", min: -RANGE, max: RANGE, step: 0.02 });
    const output = document.createElement("output");
    const label = document.createElement("label");
    const share = shares[k] < 0.005 ? "under 1 %" : `${Math.round(100 * shares[k])} %`;
    label.append(`Direction ${k + 1}: ${share} of its effect`, output, input);
    input.oninput = () => { go(k, Number(input.value)); moved(); };
    input.onpointerdown = remember;
    part(".sliders").append(label);
    return { input, output };
  });

  const point = (event) => {
    const box = pad.getBoundingClientRect();
    go(0, (2 * (event.clientX - box.left) / box.width - 1) * RANGE);
    go(1, (1 - 2 * (event.clientY - box.top) / box.height) * RANGE);
    moved();
  };
  pad.onpointerdown = (event) => { remember(); pad.setPointerCapture(event.pointerId); point(event); };
  pad.onpointermove = (event) => { if (pad.hasPointerCapture(event.pointerId)) point(event); };
  const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [1, 1], ArrowDown: [1, -1] };
  pad.onkeydown = (event) => {
    if (!Object.hasOwn(steps, event.key)) return;
    event.preventDefault();
    const [k, sign] = steps[event.key];
    go(k, Noise.dot(state.g[level], vectors[k]) + sign * (event.shiftKey ? 0.5 : 0.1));
    moved();
  };

  part(".redraw").onclick = () => redraw(level);
  part(".lock").onclick = () => { state.locked[level] = !state.locked[level]; moved(); };

  let mapOf = "";
  return {
    card,
    show: (g, locked) => {
      const t = vectors.map((v) => Noise.dot(g, v));
      sliders.forEach(({ input, output }, k) => {
        input.value = t[k];
        output.textContent = t[k].toFixed(2);
        input.setAttribute("aria-label", `z_${level}, direction ${k + 1}`);
      });
      const percent = (value) => `${50 * (Math.max(-RANGE, Math.min(RANGE, value)) / RANGE + 1)}%`;
      at.style.left = percent(t[0]);
      at.style.top = percent(-(t[1] ?? 0));
      part(".lock").setAttribute("aria-pressed", String(locked));
      part(".lock").textContent = locked ? "Locked" : "Lock";
      card.classList.toggle("locked", locked);
    },
    // Behind the pad: what would be drawn at each place. Fewer places where drawing is slow.
    drawMap: async (now, milliseconds) => {
      if (flat) return;
      const side = milliseconds < 40 ? 7 : milliseconds < 150 ? 5 : 3;
      const places = Array.from({ length: side }, (_, k) => RANGE * ((2 * k + 1) / side - 1));
      const rest = vectors.slice(0, 2).reduce((g, v) => Noise.along(g, v, -Noise.dot(g, v)), now.g[level]);
      const own = places.toReversed().flatMap((b) => places.map((a) =>
        Noise.toZ(Noise.along(Noise.along(rest, vectors[0], a), vectors[1], b))));
      const z = { [level]: own };
      for (const i of levels()) if (i !== level) z[i] = Noise.toZ(now.g[i]);
      const body = { label: now.label, seed: 0, count: side * side, columns: side, scale: 1, gap: 0, z };
      const key = JSON.stringify(body);
      if (key === mapOf) return;
      await Server.show(map, await Server.picture(body));
      mapOf = key;
    },
  };
};
