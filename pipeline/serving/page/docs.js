// The interface's documentation, drawn from /openapi.json: each path with a request to try.
"use strict";

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

const resolved = (schema, all) =>
  schema && schema.$ref ? all.components.schemas[schema.$ref.split("/").pop()] : schema;

const kind = (schema) => {
  if (!schema) return "";
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(kind).filter((text) => text !== "null").join(" or ");
  if (schema.type === "array") {
    const size = schema.minItems && schema.minItems === schema.maxItems ? `${schema.minItems} ` : "";
    return `list of ${size}${kind(schema.items)}`;
  }
  const low = schema.minimum, high = schema.maximum ?? schema.exclusiveMaximum - 1;
  return low === undefined ? schema.type || "" : `${schema.type} ${low} to ${high}`;
};

const fieldRows = (schema) =>
  Object.entries(schema.properties || {}).map(([name, field]) => {
    const parts = field.properties
      ? Object.entries(field.properties).map(([key, value]) => `${key}: ${kind(value)}`).join("; ")
      : kind(field);
    const fallback = field.default === undefined ? "" : ` (default ${JSON.stringify(field.default)})`;
    const needed = (schema.required || []).includes(name) ? " (required)" : fallback;
    return make("tr", {},
      make("td", {}, make("code", { textContent: name })),
      make("td", { className: "quiet", textContent: parts + needed }),
      make("td", { textContent: field.description || "" }));
  });

const show = async (answer, place) => {
  const type = answer.headers.get("content-type") || "";
  const seed = answer.headers.get("x-seed");
  place.replaceChildren(make("p", { className: "quiet",
    textContent: `${answer.status} · ${type}${seed ? ` · X-Seed ${seed}` : ""}` }));
  if (type.startsWith("image/")) {
    const url = URL.createObjectURL(await answer.blob());
    place.append(make("img", { src: url, alt: "The images of the answer" }));
  } else if (type.startsWith("application/zip")) {
    const url = URL.createObjectURL(await answer.blob());
    place.append(make("a", { href: url, download: "samples.zip", textContent: "samples.zip" }));
  } else {
    let text = await answer.text();
    if (type.startsWith("application/json")) text = JSON.stringify(JSON.parse(text), null, 1);
    const long = text.length > 6000;
    place.append(make("pre", { textContent: long ? `${text.slice(0, 6000)}\n…` : text }));
  }
};

const operation = (path, method, told, all) => {
  const body = told.requestBody && resolved(told.requestBody.content["application/json"].schema, all);
  const box = make("section", { className: "card" },
    make("h2", {}, make("code", { textContent: `${method.toUpperCase()} ${path}` })),
    make("p", { textContent: told.description || told.summary || "" }));
  let input = null;
  if (body) {
    box.append(make("div", { className: "scroll" }, make("table", {}, ...fieldRows(body))));
    const example = JSON.stringify((body.examples || [{}])[0]);
    input = make("textarea", { value: example, rows: 3, spellcheck: false });
    input.setAttribute("aria-label", `Body of ${method} ${path}`);
    box.append(input);
  }
  const place = make("div", { className: "answer" });
  place.setAttribute("aria-live", "polite");
  const button = make("button", { type: "button", textContent: "Ask" });
  button.addEventListener("click", async () => {
    const headers = input ? { "Content-Type": "application/json" } : {};
    try {
      await show(await fetch(`.${path}`, { method, headers, body: input && input.value }), place);
    } catch (error) {
      place.replaceChildren(make("p", { textContent: `No answer: ${error.message}` }));
    }
  });
  const statuses = Object.entries(told.responses).map(([code, r]) => `${code}: ${r.description}`);
  box.append(button, place, make("details", {},
    make("summary", { textContent: "Statuses" }),
    make("ul", {}, ...statuses.map((text) => make("li", { textContent: text })))));
  return box;
};

const draw = async () => {
  const all = await (await fetch("./openapi.json")).json();
  document.getElementById("about").textContent = all.info.description;
  for (const [path, methods] of Object.entries(all.paths))
    for (const [method, told] of Object.entries(methods))
      document.getElementById("paths").append(operation(path, method, told, all));
};

draw().catch((error) => {
  document.getElementById("about").textContent = `The document cannot be read: ${error.message}`;
});
