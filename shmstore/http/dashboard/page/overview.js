// The stores of the machine, or of the service; and of the one that is looked at, what all kinds have in common.

import { Chart } from "./chart.js";
import { byId, detail, Facts, figure, Listing, make, mark, reveal, say, Table } from "./tables.js";
import { change, view } from "./view.js";
import { ago, count, nothing, percent, plural, rate, short, size } from "./words.js";

const HELD = { events: "records", streams: "streams", metrics: "metrics" };
const HISTORY_MS = 600000;

export class Stores {
  constructor() {
    this.table = new Table(
      byId("stores"),
      [
        { title: "store", show: (row) => row.name, small: wordsOf },
        figure("rate", (row) => (row.kind === "metrics" ? "" : rate(row.rate))),
        { title: "fill", bar: (row) => row.fill },
      ],
      { keyOf: (row) => row.name, choose: (name) => change({ store: name }), isChosen: (row) => row.name === view.store },
    );
    this.rows = [];
    byId("find").addEventListener("input", (event) => change({ find: event.target.value }));
  }

  show(rows) {
    this.rows = rows;
    this.filter();
  }

  filter() {
    const words = view.find.toLowerCase().split(/\s+/);
    const found = this.rows.filter((row) => words.every((word) => row.name.toLowerCase().includes(word)));
    this.table.show([...found.filter((row) => row.own), ...found.filter((row) => !row.own)]);
    reveal(byId("no-stores"), !found.length);
    say(byId("no-stores"), this.rows.length ? "No store has such a name." : "There are no stores.");
  }
}

function wordsOf(row) {
  if (row.state !== "ok") return `${row.state}, ${size(row.size)}`;
  const held = { streams: plural(row.streams, "stream"), metrics: `${count(row.count)} series` }[row.kind] ?? plural(row.count, "record");
  return `${held}, ${percent(row.fill)} full`;
}

// Rates of the store that is looked at, second by second: those that came first, and each that comes.
class History {
  constructor() {
    this.name = null;
    this.points = [];
  }

  add(store, time) {
    if (store.name !== this.name) {
      this.name = store.name;
      this.points = [];
    }
    const [begin] = store.history?.[0] ?? [];
    if (begin) this.points = [...this.points.filter(([at]) => at < begin), ...store.history];
    if (store.rate != null && time > (this.points.at(-1)?.[0] ?? 0)) this.points.push([time, store.rate]);
    this.points = this.points.filter(([at]) => at > time - HISTORY_MS);
  }
}

const PROCESSES = [
  { title: "process", show: (row) => row.name || "–", small: (row) => `pid ${row.pid}` },
  { title: "state", show: (row) => row.state, tone: (row) => ({ alive: "good", dead: "bad" })[row.state] },
  figure("cpu", (row) => (row.cpu == null ? nothing : `${row.cpu.toFixed(0)} %`)),
  detail("memory", (row) => size(row.memory)),
  detail("appended", (row) => count(row.appended), { of: "appends" }),
  figure("rate", (row) => rate(row.rate), { of: "appends" }),
  detail("lapped", (row) => count(row.lapped), { of: "appends" }),
  detail("last append", (row) => row.lastWords, { of: "appends" }),
  detail("attached", (row) => row.sinceWords),
];

export class Store {
  constructor() {
    this.history = new History();
    this.tiles = new Facts(byId("tiles"), "figure");
    this.chips = new Listing(byId("chips"), ([text]) => text, ([text]) => make("span", "", text), (chip, [, tone]) => mark(chip, tone ?? ""));
    this.processes = new Table(byId("processes"), PROCESSES, { keyOf: (row) => `${row.place}.${row.pid}.${row.since}` });
    this.chart = new Chart(byId("rate"), {
      label: "Appends per second, of the last ten minutes",
      lines: [{ name: "rate", title: "appended", kind: "area" }],
      figure: rate,
      mark: short,
    });
  }

  show(store, now) {
    reveal(byId("store"), store != null);
    if (!store) return;
    say(byId("store-title"), store.name);
    const isSound = store.state === "ok";
    byId("store").dataset.kind = store.kind;
    for (const part of byId("store").querySelectorAll("[data-for]")) reveal(part, isSound && part.dataset.for.includes(store.kind));
    reveal(byId("processes").closest(".panel"), isSound);
    this.chips.show(chipsOf(store));
    this.tiles.show(isSound ? tilesOf(store, now) : []);
    if (!isSound) return;
    const times = (row) => ({ ...row, lastWords: ago(row.last, now), sinceWords: ago(row.since, now) });
    this.processes.show(store.processes.map(times));
    reveal(byId("processes").parentElement, store.processes.length > 0);
    reveal(byId("no-processes"), !store.processes.length);
    if (store.kind === "metrics") return;
    this.history.add(store, now);
    const points = this.history.points;
    this.chart.show({
      since: now - HISTORY_MS,
      until: now,
      gap: 5000,
      times: points.map(([time]) => time),
      values: { rate: points.map(([, value]) => value) },
    });
  }
}

function chipsOf(store) {
  const chips = [[HELD[store.kind] ?? "unknown"]];
  if (store.state !== "ok") return [...chips, [store.state, "bad"]];
  chips.push([size(store.size)], [`of ${store.owner}`]);
  chips.push(store.coordinator ? ["coordinated", "good"] : ["no coordinator"]);
  if (store.dead) chips.push([`${plural(store.dead, "dead process", "dead processes")}`, "bad"]);
  return chips;
}

// Each a title, a figure, a tone, and what stands below.
function tilesOf(store, now) {
  const { dead, newest, kept, skipped, voided, lapped } = store;
  const processes = ["Processes", count(store.alive), dead ? "bad" : "", dead ? `${count(dead)} dead, not yet repaired` : `store made ${ago(store.created, now)}`];
  const appended = ["Appended", rate(store.rate), "", `${count(store.appended)} in all`];
  const fill = `${count(store.used ?? store.count)} of ${count(store.capacity)}`;
  if (store.kind === "metrics") {
    const refused = ["Refused", count(store.refused), store.refused ? "warning" : "", "series and updates"];
    return [["Series", count(store.count)], ["Nodes", percent(store.fill), store.fill > 0.9 ? "warning" : "", fill], refused, processes];
  }
  if (store.kind === "streams") {
    return [appended, ["Streams", count(store.streams), "", `${plural(store.names, "name")} taken`], ["Events kept", percent(store.fill), "", fill], processes];
  }
  const lost = skipped + voided + lapped;
  return [
    appended,
    ["Discarded", rate(store.discardedRate), "", `${count(store.discarded)} in all`],
    ["Records", percent(store.fill), "", fill],
    ["Kept", percent(newest ? kept / newest : 1), kept < 0.75 * newest ? "warning" : "", `${count(kept)} of the newest ${count(newest)}`],
    ["Lost", count(lost), lost ? "warning" : "", `${count(skipped)} skipped, ${count(voided)} voided, ${count(lapped)} lapped`],
    processes,
  ];
}
