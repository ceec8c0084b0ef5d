// A store of streams: those that come first, with their versions and rates, and the newest events of one.

import { List } from "./lists.js";
import { Question } from "./live.js";
import { byId, detail, figure, Listing, make, reveal, say } from "./tables.js";
import { change, view } from "./view.js";
import { count, moment, rate } from "./words.js";

export class Streams {
  constructor() {
    this.list = new List(byId("streams"), {
      path: "/dashboard/streams",
      words: ["stream", "streams"],
      orders: { rate: "rate", events: "events", version: "version", name: "name" },
      columns: [
        { title: "stream", show: (row) => row.name },
        figure("version", (row) => count(row.version)),
        figure("rate", (row) => rate(row.rate)),
        figure("events", (row) => count(row.events)),
        detail("first", (row) => count(row.first)),
        detail("discarded", (row) => count(row.discarded)),
      ],
      limit: 25,
      choose: (stream) => change({ stream }),
      isChosen: (row) => row.name === view.stream,
    });
    this.events = new Listing(byId("events"), (event) => event.version, newEvent, fillEvent);
    this.asked = new Question("/dashboard/events", (answer) => this.show(answer), (text) => this.showNone(text));
  }

  forget() {
    this.list.forget();
    this.asked.forget();
    this.events.show([]);
  }

  look(isAnew) {
    this.list.look({}, isAnew);
    if (view.stream) this.asked.look({ store: view.store, stream: view.stream, limit: 20 }, isAnew);
    else this.showNone("Choose a stream to see its newest events.");
    say(byId("events-title"), view.stream ? `Newest events of ${view.stream}` : "Newest events");
  }

  show(answer) {
    this.events.show(answer.events);
    const at = `at version ${count(answer.version)}, from version ${count(answer.first)} on`;
    say(byId("events-note"), answer.exists ? at : "There is no such stream, or it was deleted.");
  }

  showNone(text) {
    this.events.show([]);
    say(byId("events-note"), text);
  }
}

function newEvent() {
  const item = make("li");
  item.appendChild(make("p")).append(make("b"), make("span"), make("span", "soft"), make("span", "soft"));
  item.append(make("pre"), make("pre", "soft"));
  return item;
}

function fillEvent(item, event) {
  const [about, data, metadata] = item.children;
  const texts = [String(event.version), event.type ?? "", event.time == null ? "" : moment(event.time), event.id == null ? "" : `id ${event.id}`];
  texts.forEach((text, at) => say(about.children[at], text));
  for (const [place, text] of [[data, event.data], [metadata, event.metadata]]) {
    say(place, text ?? "");
    reveal(place, text != null);
  }
}
