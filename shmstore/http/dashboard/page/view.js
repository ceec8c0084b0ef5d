// What is looked at. It stands in the address, so that a link shows the same to others.

const DEFAULTS = { store: "", label: "", value: "", range: "300", order: "", filter: "", stream: "", find: "", at: "" };
const OF_A_STORE = ["label", "value", "order", "filter", "stream"];

export const view = { ...DEFAULTS };
const listeners = [];

export const onChange = (listener) => listeners.push(listener);

export const isPaused = () => view.at !== "";

function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const name of Object.keys(DEFAULTS)) view[name] = given.get(name) ?? DEFAULTS[name];
}

function address() {
  const told = new URLSearchParams();
  for (const [name, value] of Object.entries(view)) if (value !== DEFAULTS[name]) told.set(name, value);
  const text = told.toString();
  return text ? `#${text}` : location.pathname;
}

// Another store is a step back in the history of the browser; all else is not.
export function change(changes) {
  const isOther = "store" in changes && changes.store !== view.store;
  if (isOther) for (const name of OF_A_STORE) view[name] = DEFAULTS[name];
  const isStep = isOther && view.store !== "";
  Object.assign(view, changes);
  history[isStep ? "pushState" : "replaceState"](null, "", address());
  for (const listener of listeners) listener(view);
}

addEventListener("popstate", () => {
  read();
  for (const listener of listeners) listener(view);
});
read();
