// A segment of metrics: its series with their values and rates.

import { List } from "./lists.js";
import { byId, detail, figure } from "./tables.js";
import { number, rate } from "./words.js";

export class Metrics {
  constructor() {
    this.list = new List(byId("series"), {
      path: "/dashboard/series",
      words: ["series", "series"],
      orders: { name: "name", rate: "rate", value: "value" },
      columns: [
        { title: "series", show: (row) => row.name },
        { title: "type", show: (row) => row.type, less: true },
        figure("value", (row) => number(row.value)),
        detail("sum", (row) => (row.sum == null ? "" : number(row.sum))),
        figure("rate", (row) => (row.rate == null ? "" : rate(row.rate))),
      ],
      limit: 50,
    });
  }

  forget() {
    this.list.forget();
  }

  look(isAnew) {
    this.list.look({}, isAnew);
  }
}
