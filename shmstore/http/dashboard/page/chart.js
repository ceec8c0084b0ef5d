// A chart over time, drawn as SVG. The pointer and the arrow keys choose a moment, whose figures stand below it.

import { make, reveal, say } from "./tables.js";
import { clock, moment, nothing } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const LEFT = 46;
const BELOW = 20;
const ABOVE = 6;
const EMPTY = "nothing in this range";
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800];

function shape(tag, attributes, parent) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  parent?.append(made);
  return made;
}

function set(element, name, value) {
  const text = String(value);
  if (element.getAttribute(name) !== text) element.setAttribute(name, text);
}

// The least round number that is not below a value: 1, 2 or 5 with zeros.
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value * 0.999999);
}

// `lines` are { name, title, kind }, where kind is "line", "area" or "bars"; `figure` shows a value, `mark` one of the axis.
export class Chart {
  constructor(place, { label, lines, figure, mark, height = 170, atZero = true }) {
    Object.assign(this, { label, lines, figure, mark, height, atZero });
    this.data = null;
    this.chosen = null;
    this.width = 0;
    place.classList.add("chart");
    this.plot = place.appendChild(make("div", "plot"));
    this.legend = place.appendChild(make("p", "legend"));
    this.plot.tabIndex = 0;
    this.plot.setAttribute("role", "slider");
    this.plot.setAttribute("aria-label", label);
    this.plot.setAttribute("aria-valuemin", "0");
    this.svg = shape("svg", { height, "aria-hidden": "true" }, this.plot);
    this.grid = shape("g", {}, this.svg);
    this.shapes = lines.map((line) => ({
      area: line.kind === "area" ? shape("path", { class: "area" }, this.svg) : null,
      line: shape("path", { class: line.kind === "bars" ? line.name : `line ${line.name}` }, this.svg),
    }));
    this.hair = shape("path", { class: "hair" }, this.svg);
    this.dots = lines.map((line) => shape("circle", { r: 3.5, class: line.name }, this.svg));
    this.time = this.legend.appendChild(make("span"));
    this.figures = lines.map((line) => {
      const part = this.legend.appendChild(make("span"));
      part.append(make("i", line.name), `${line.title} `);
      return part.appendChild(make("b"));
    });
    this.plot.addEventListener("pointermove", (event) => this.point(event));
    this.plot.addEventListener("pointerdown", (event) => this.point(event));
    this.plot.addEventListener("pointerleave", () => this.choose(null));
    this.plot.addEventListener("blur", () => this.choose(null));
    this.plot.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.resize()).observe(this.plot);
  }

  // Times ascend; each line has a value, or null, for each of them.
  show(data) {
    const time = this.chosen === null ? null : this.data?.times[this.chosen];
    this.data = data;
    if (time != null) {
      const at = data.times.indexOf(time);
      this.chosen = at < 0 ? null : at;
    }
    this.draw();
  }

  resize() {
    const width = this.plot.clientWidth;
    if (width && width !== this.width) {
      this.width = width;
      set(this.svg, "width", width);
      set(this.svg, "viewBox", `0 0 ${width} ${this.height}`);
      this.draw();
    }
  }

  draw() {
    if (!this.width || !this.data) return;
    const { since, until, times, values } = this.data;
    const all = this.lines.flatMap((line) => values[line.name] ?? []).filter((value) => value != null);
    const [low, high] = this.bounds(all);
    const right = this.width - 4;
    const bottom = this.height - BELOW;
    this.x = (time) => LEFT + ((time - since) / (until - since || 1)) * (right - LEFT);
    this.y = (value) => bottom - ((value - low) / (high - low || 1)) * (bottom - ABOVE);
    this.axes(low, high, since, until, right, bottom, all.length);
    this.lines.forEach((line, at) => {
      const found = values[line.name] ?? [];
      const { area, line: drawn } = this.shapes[at];
      if (line.kind === "bars") {
        set(drawn, "d", this.bars(times, found, bottom));
      } else {
        const runs = this.runs(times, found);
        set(drawn, "d", runs.map(pathOf).join(""));
        if (area) set(area, "d", runs.map((run) => `${pathOf(run)}L${run.at(-1)[0]} ${bottom}L${run[0][0]} ${bottom}Z`).join(""));
      }
    });
    this.read();
  }

  bounds(all) {
    if (!all.length) return [0, 1];
    let low = Math.min(...all);
    let high = Math.max(...all);
    if (this.atZero) low = Math.min(0, low);
    if (high === low) high = low + (Math.abs(low) || 1);
    const step = round((high - low) / 3);
    return [Math.floor(low / step + 1e-9) * step, Math.ceil(high / step - 1e-9) * step];
  }

  axes(low, high, since, until, right, bottom, isFilled) {
    const step = round((high - low) / 3.01);
    const marks = [];
    for (let value = low; value <= high + step / 1000; value += step) marks.push(Math.abs(value) < step / 1000 ? 0 : value);
    const room = Math.max(2, Math.floor((right - LEFT) / 90));
    const every = (STEPS_S.find((seconds) => seconds * room * 1000 >= until - since) ?? 604800) * 1000;
    const zone = new Date(until).getTimezoneOffset() * 60000;
    const ticks = [];
    for (let time = Math.ceil((since - zone) / every) * every + zone; time <= until; time += every) ticks.push(time);
    this.grid.replaceChildren();
    for (const value of isFilled ? marks : [low]) {
      const y = this.y(value);
      shape("path", { class: "grid", d: `M${LEFT} ${y.toFixed(1)}H${right}` }, this.grid);
      if (isFilled) this.write(LEFT - 6, y + 4, "end", this.mark(value));
    }
    for (const time of ticks) {
      const x = this.x(time);
      if (x < LEFT + 16 || x > right - 18) continue;
      const text = every >= 86400000 ? moment(time).slice(0, -9) : every >= 60000 ? clock(time).slice(0, 5) : clock(time);
      this.write(x, bottom + 15, "middle", text);
    }
    if (!isFilled) this.write((LEFT + right) / 2, bottom / 2, "middle", EMPTY);
  }

  write(x, y, anchor, text) {
    shape("text", { x: x.toFixed(1), y: y.toFixed(1), "text-anchor": anchor }, this.grid).textContent = text;
  }

  // Stretches without a gap, as points.
  runs(times, values) {
    const found = [];
    let run = [];
    times.forEach((time, at) => {
      const isBreak = values[at] == null || (at && time - times[at - 1] > this.data.gap);
      if (isBreak && run.length) { found.push(run); run = []; }
      if (values[at] != null) run.push([this.x(time).toFixed(1), this.y(values[at]).toFixed(1)]);
    });
    if (run.length) found.push(run);
    return found;
  }

  bars(times, values, bottom) {
    const width = Math.max(1, this.x(this.data.since + this.data.gap) - this.x(this.data.since) - 1);
    return times.map((time, at) => `M${(this.x(time) - width / 2).toFixed(1)} ${bottom}V${this.y(values[at] ?? 0).toFixed(1)}h${width.toFixed(1)}V${bottom}Z`).join("");
  }

  // -- choosing a moment

  point(event) {
    if (!this.data?.times.length || !this.x) return;
    const x = event.clientX - this.svg.getBoundingClientRect().left;
    let best = 0;
    this.data.times.forEach((time, at) => {
      if (Math.abs(this.x(time) - x) < Math.abs(this.x(this.data.times[best]) - x)) best = at;
    });
    this.choose(best);
  }

  key(event) {
    const last = (this.data?.times.length ?? 0) - 1;
    if (last < 0) return;
    const at = this.chosen ?? last;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last, PageUp: at - 10, PageDown: at + 10 }[event.key];
    if (to === undefined) {
      if (event.key === "Escape") this.choose(null);
      return;
    }
    event.preventDefault();
    this.choose(Math.max(0, Math.min(last, to)));
  }

  choose(at) {
    this.chosen = at;
    this.read();
  }

  read() {
    if (!this.data || !this.x) return;
    const { times, values } = this.data;
    const at = this.chosen ?? times.length - 1;
    const figures = this.lines.map((line) => (values[line.name] ?? [])[at] ?? null);
    const time = times[at];
    reveal(this.time, time != null);
    say(this.time, time == null ? "" : this.data.until - this.data.since > 86400000 ? moment(time) : clock(time));
    const texts = figures.map((value) => (value == null ? nothing : this.figure(value)));
    texts.forEach((text, line) => say(this.figures[line], text));
    const isChosen = this.chosen !== null && time != null;
    set(this.hair, "d", isChosen ? `M${this.x(time).toFixed(1)} ${ABOVE}V${this.height - BELOW}` : "");
    figures.forEach((value, line) => {
      const isSeen = isChosen && value != null && this.lines[line].kind !== "bars";
      set(this.dots[line], "visibility", isSeen ? "visible" : "hidden");
      if (isSeen) {
        set(this.dots[line], "cx", this.x(time).toFixed(1));
        set(this.dots[line], "cy", this.y(value).toFixed(1));
      }
    });
    set(this.plot, "aria-valuemax", Math.max(0, times.length - 1));
    if (isChosen || document.activeElement !== this.plot) {
      set(this.plot, "aria-valuenow", Math.max(0, at));
      set(this.plot, "aria-valuetext", time == null ? EMPTY : [clock(time), ...this.lines.map((line, place) => `${line.title} ${texts[place]}`)].join(", "));
    }
  }
}

const pathOf = (run) => (run.length === 1 ? `M${run[0].join(" ")}m-1 0h2` : `M${run.map((point) => point.join(" ")).join("L")}`);
