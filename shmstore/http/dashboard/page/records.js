// A store of records: how full its partitions are, its labels, and one of them, or all records, over time.

import { Chart } from "./chart.js";
import { List } from "./lists.js";
import { Question } from "./live.js";
import { byId, detail, Facts, figure, make, reveal, say, Table } from "./tables.js";
import { change, view } from "./view.js";
import { count, moment, number, percent, plural, rate, short } from "./words.js";

const FIGURES = ["sum", "mean", "min", "max", "p50", "p90", "p99"];
const LINES = ["mean", "p50", "p90", "p99"];
const attention = (value) => (value ? "warning" : "");

export class Records {
  constructor() {
    this.partitions = new Table(
      byId("partitions"),
      [
        { title: "partition", show: (row) => String(row.number) },
        { title: "fill", bar: (row) => row.fill },
        figure("full", (row) => percent(row.fill)),
        figure("records", (row) => count(row.records)),
        figure("rate", (row) => rate(row.rate)),
        detail("in flight", (row) => count(row.inFlight)),
        detail("skipped", (row) => count(row.skipped), { tone: (row) => attention(row.skipped) }),
        detail("voided", (row) => count(row.voided), { tone: (row) => attention(row.voided) }),
      ],
      { keyOf: (row) => row.number },
    );
    const answer = (column, name) => column(name, (row) => number(row[name]));
    this.labels = new List(byId("labels"), {
      path: "/dashboard/labels",
      words: ["label", "labels"],
      orders: { count: "records", sum: "sum", mean: "mean", max: "maximum", name: "name" },
      columns: [
        { title: "label", show: (row) => row.name || "(damaged)" },
        { title: "compared", bar: (row) => Math.abs(row[this.ranked] ?? 0) / this.most },
        figure("records", (row) => count(row.count)),
        answer(detail, "sum"),
        answer(figure, "mean"),
        answer(detail, "max"),
      ],
      limit: 20,
      choose: (label) => change({ label: label === view.label ? "" : label }),
      isChosen: (row) => row.name === view.label,
    });
    this.labels.onRows = (rows) => {
      this.ranked = this.labels.order.value === "name" ? "count" : this.labels.order.value;
      this.most = Math.max(...rows.map((row) => Math.abs(row[this.ranked] ?? 0))) || 1;
    };
    this.values = new Chart(byId("values"), {
      label: "Values over time",
      lines: LINES.map((name) => ({ name, title: name, kind: "line" })),
      figure: number,
      mark: short,
      height: 210,
      atZero: false,
    });
    this.counts = new Chart(byId("counts"), {
      label: "Records over time",
      lines: [{ name: "count", title: "records", kind: "bars" }],
      figure: count,
      mark: short,
      height: 90,
    });
    this.whole = new Facts(byId("whole"));
    this.asked = new Question("/dashboard/chart", (answer) => this.showChart(answer), (text) => say(byId("chart-note"), text));
    byId("value").addEventListener("change", (event) => change({ value: event.target.value }));
    byId("all-labels").addEventListener("click", () => {
      change({ label: "" });
      byId("values").firstChild.focus();
    });
  }

  forget() {
    this.asked.forget();
    this.labels.forget();
  }

  show(store) {
    this.partitions.show(store.partitions.map((row, at) => ({ number: at, ...row })));
    const { label, values, time } = store.fields;
    this.hasTime = time;
    this.hasLabels = label != null;
    reveal(byId("labels"), this.hasLabels);
    reveal(byId("over-time"), time);
    const select = byId("value");
    if (select.dataset.of !== values.join()) {
      select.dataset.of = values.join();
      select.replaceChildren(...values.map((name) => make("option", "", name)));
    }
    select.value = values.includes(view.value) ? view.value : (values[0] ?? "");
    reveal(select.parentElement, values.length > 1);
  }

  // Ask for what is seen; `isAnew`: also for what was answered already.
  look(isAnew) {
    const query = { value: view.value, range: view.range };
    if (this.hasLabels) this.labels.look(query, isAnew);
    if (this.hasTime) this.asked.look({ store: view.store, ...query, label: view.label, until: view.at }, isAnew);
    say(byId("chart-title"), view.label || "All records");
    reveal(byId("all-labels"), view.label !== "");
  }

  showChart({ since, until, every, windows, whole, value, complete }) {
    const shown = { since, until, gap: every * 1500, times: windows.start.map((start) => start + every * 500), values: windows };
    reveal(byId("values"), value != null);
    this.values.show(shown);
    this.counts.show({ ...shown, gap: every * 1000 });
    const figures = FIGURES.filter((name) => name in whole).map((name) => [name, number(whole[name])]);
    this.whole.show([["records", count(whole.count)], ...figures]);
    const cut = complete != null && complete > since ? `; of what is older than ${moment(complete)}, some was discarded` : "";
    say(byId("chart-note"), `windows of ${plural(every, "second")}${cut}`);
  }
}
