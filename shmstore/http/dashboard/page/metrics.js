// A segment of metrics: its series with their values and rates.

import { List } from "./lists.js";
import { byId } from "./tables.js";
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
        { title: "value", show: (row) => number(row.value), right: true },
        { title: "sum", show: (row) => (row.sum == null ? "" : number(row.sum)), right: true, less: true },
        { title: "rate", show: (row) => (row.rate == null ? "" : rate(row.rate)), right: true },
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
