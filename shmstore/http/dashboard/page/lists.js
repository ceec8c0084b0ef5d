// A list of which only the first are shown: a filter, an order, a table and a word on how many there are.

import { Question } from "./live.js";
import { make, say, Table } from "./tables.js";
import { change, view } from "./view.js";
import { count } from "./words.js";

export class List {
  // Into a panel; `words` are what one and many are called, `orders` the names of columns with their titles.
  constructor(place, { path, words, orders, columns, limit, choose, isChosen }) {
    Object.assign(this, { words, orders, limit });
    const tools = place.appendChild(make("div", "tools"));
    this.filter = field(tools, "Filter", "input", "field find");
    this.filter.type = "search";
    this.filter.placeholder = `part of a ${words[0]}`;
    this.order = field(tools, "By", "select", "field");
    for (const [name, title] of Object.entries(orders)) this.order.add(new Option(title, name));
    const table = place.appendChild(make("div", "wide")).appendChild(make("table"));
    table.appendChild(make("caption", "unseen", `The ${words[1]} that come first`));
    this.note = place.appendChild(make("p", "soft"));
    this.table = new Table(table, columns, { keyOf: (row) => row.name, choose, isChosen });
    this.asked = new Question(path, (answer) => this.show(answer), (text) => say(this.note, text));
    this.filter.addEventListener("input", () => change({ filter: this.filter.value }));
    this.order.addEventListener("change", () => change({ order: this.order.value }));
  }

  forget() {
    this.asked.forget();
    this.table.show([]);
    say(this.note, "");
  }

  look(query, isAnew) {
    this.order.value = view.order in this.orders ? view.order : Object.keys(this.orders)[0];
    if (document.activeElement !== this.filter) this.filter.value = view.filter;
    this.asked.look({ store: view.store, ...query, filter: view.filter, order: this.order.value, limit: this.limit }, isAnew);
    this.table.again();
  }

  show({ rows, matching, all }) {
    const of = matching === all ? "" : `${count(matching)} of `;
    const more = matching > rows.length ? `; ${count(matching - rows.length)} more are not shown: filter them` : "";
    say(this.note, all ? `${of}${count(all)} ${this.words[all === 1 ? 0 : 1]}${more}` : `There are no ${this.words[1]} yet.`);
    this.onRows?.(rows);
    this.table.show(rows);
  }
}

function field(place, title, tag, className) {
  const label = place.appendChild(make("label", className, `${title} `));
  return label.appendChild(make(tag));
}
