// Asking the server: one place that knows its paths, and what it says of mistakes.
"use strict";

const Server = (() => {
  let version = null;
  let switched = () => {};

  const ask = async (path, body) => {
    const told = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    let answer;
    try {
      answer = await fetch(`./${path}`, told);
    } catch {
      throw new Error("The server does not answer; is it still running?");
    }
    if (!answer.ok) throw new Error((await answer.json()).error);
    const now = answer.headers.get("x-model-version");
    if (now && version && now !== version) switched();
    version = now || version;
    return answer;
  };

  const picture = async (body) => URL.createObjectURL(await (await ask("v1/samples", body)).blob());

  return {
    model: async () => (await ask("v1/model")).json(),
    directions: async () => (await ask("v1/directions")).json(),
    nearest: async (body) => (await ask("v1/nearest", body)).json(),
    samples: async (body) => (await ask("v1/samples", { ...body, format: "json" })).json(),
    picture,
    // Calls `action` when an answer comes from other weights than the one before.
    onSwitch: (action) => { switched = action; },
    // Puts a picture into an <img>, and frees the one that was there.
    show: async (image, url) => {
      const before = image.src;
      image.src = url;
      await image.decode().catch(() => {});
      if (before.startsWith("blob:")) URL.revokeObjectURL(before);
    },
  };
})();

// A task that is asked for more often than it can run: it runs again once, with what is newest.
const latest = (task, wait = 0) => {
  let running = false, again = false, timer = 0;
  const run = async () => {
    if (running) { again = true; return; }
    running = true;
    do { again = false; await task(); } while (again);
    running = false;
  };
  return () => {
    if (!wait) return run();
    clearTimeout(timer);
    timer = setTimeout(run, wait);
  };
};
