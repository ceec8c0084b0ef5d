// The page: states go to the panels, and what is looked at goes to the address.

import { Health } from "./dashboard/health.js";
import { Live, onTokenAskedFor, setToken } from "./dashboard/live.js";
import { Metrics } from "./dashboard/metrics.js";
import { Store, Stores } from "./dashboard/overview.js";
import { Records } from "./dashboard/records.js";
import { Streams } from "./dashboard/streams.js";
import { byId, reveal, say } from "./dashboard/tables.js";
import { change, isPaused, onChange, view } from "./dashboard/view.js";
import { moment } from "./dashboard/words.js";

const stores = new Stores();
const store = new Store();
const health = new Health();
const panels = { events: new Records(), streams: new Streams(), metrics: new Metrics() };
const live = new Live(show, tell);
let followed = null; // the store whose states come
let last = null; // the last state

function tell(is, text) {
  byId("status").dataset.is = is;
  say(byId("status-text"), text);
  byId("everything").classList.toggle("stale", is === "away");
}

function show(state) {
  if (state.service) {
    say(byId("where"), `${state.service.host}${state.service.all ? "" : `, the stores of ${state.service.name}`}`);
  }
  if (isPaused()) live.stop();
  else tell("live", "live");
  last = state;
  stores.show(state.stores);
  health.show(state.stores);
  health.look(!isPaused());
  if (!view.store) {
    const own = (row) => (!row.own ? 0 : row.count ? 2 ** 52 : 0.5);
    const rank = (row) => (row.state !== "ok" ? -1 : row.kind === "metrics" ? 0 : row.count + own(row));
    const [first] = [...state.stores].sort((one, other) => rank(other) - rank(one));
    if (first) change({ store: first.name });
    else store.show(null);
    return;
  }
  const seen = state.store;
  if (!seen || seen.name !== view.store) return;
  document.title = `${seen.name} – shmstore`;
  const isSound = seen.state === "ok";
  reveal(byId("note"), !isSound);
  if (!isSound) say(byId("note"), seen.error ?? `The store is not to be read: ${seen.state}.`);
  store.show(seen, state.time);
  if (!isSound) return;
  if (seen.kind === "events") panels.events.show(seen);
  panels[seen.kind].look(!isPaused());
}

function follow() {
  byId("range").value = view.range;
  if (document.activeElement !== byId("find")) byId("find").value = view.find;
  byId("pause").setAttribute("aria-pressed", String(isPaused()));
  say(byId("pause"), isPaused() ? "Resume" : "Pause");
  if (isPaused()) tell("paused", `paused at ${moment(Number(view.at))}`);
  const isOther = followed !== view.store;
  if (isOther) for (const panel of Object.values(panels)) panel.forget();
  const wanted = `${view.store} ${isPaused()}`;
  if (wanted !== follow.wanted) {
    const goesOn = isPaused() && !isOther && last?.store?.name === view.store;
    follow.wanted = wanted;
    followed = view.store;
    if (goesOn) live.stop();
    else live.start(view.store);
  }
  if (last?.store?.name === view.store && last.store.state === "ok") panels[last.store.kind].look(false);
  stores.filter();
}

function pause() {
  change({ at: isPaused() ? "" : String(last?.time ?? Date.now()) });
}

onChange(follow);
byId("pause").addEventListener("click", pause);
byId("range").addEventListener("change", (event) => change({ range: event.target.value }));

// Nobody looks at a hidden page.
document.addEventListener("visibilitychange", () => {
  if (isPaused()) return;
  if (document.hidden) live.stop();
  else live.start(view.store);
});

onTokenAskedFor((wasGiven) => {
  live.stop();
  tell("away", "a token is asked for");
  say(byId("token-refused"), wasGiven ? "This token is not the right one." : "");
  reveal(byId("token"), true);
  reveal(byId("everything"), false);
  if (document.activeElement !== byId("token-text")) byId("token-text").focus();
});

byId("token").addEventListener("submit", (event) => {
  event.preventDefault();
  setToken(byId("token-text").value.trim());
  byId("token-text").value = "";
  reveal(byId("token"), false);
  reveal(byId("everything"), true);
  health.forget();
  live.start(view.store);
});

follow();
