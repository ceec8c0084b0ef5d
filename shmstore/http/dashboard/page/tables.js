// Tables and lists that are changed in place: what has not changed is not touched. All that is shown is text.

export const byId = (id) => document.getElementById(id);

export function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

export function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

export function reveal(place, isShown) {
  if (place.hidden === isShown) place.hidden = !isShown;
}

export function mark(place, className) {
  if (place.className !== className) place.className = className;
}

// Elements of a list, one for each item, known by its key: made once, changed by `fill`, put in order.
export class Listing {
  constructor(place, keyOf, create, fill) {
    Object.assign(this, { place, keyOf, create, fill });
    this.known = new Map();
  }

  show(items) {
    const kept = new Map();
    let before = null;
    for (const item of items) {
      const key = this.keyOf(item);
      const element = this.known.get(key) ?? this.create(item);
      this.known.delete(key);
      kept.set(key, element);
      this.fill(element, item);
      const place = before ? before.nextSibling : this.place.firstChild;
      if (place !== element) this.place.insertBefore(element, place);
      before = element;
    }
    for (const element of this.known.values()) element.remove();
    this.known = kept;
  }
}

// A column of figures, and one that only a wide screen shows.
export const figure = (title, show, more) => ({ title, show, right: true, ...more });
export const detail = (title, show, more) => figure(title, show, { less: true, ...more });

// Columns are { title, show, right, less, of, tone, bar, small }; the first is the name of a row. `choose` makes it a button.
export class Table {
  constructor(table, columns, { keyOf, choose, isChosen }) {
    const titles = table.appendChild(make("thead")).insertRow();
    for (const column of columns) {
      const title = titles.appendChild(make("th", classOf(column), column.title));
      title.scope = "col";
    }
    this.listing = new Listing(
      table.appendChild(make("tbody")),
      keyOf,
      (item) => newRow(columns, item, choose, keyOf),
      (row, item) => fillRow(row, columns, item, isChosen),
    );
  }

  show(items) {
    this.items = items;
    this.listing.show(items);
  }

  // What is chosen may be another now.
  again() {
    this.show(this.items ?? []);
  }
}

const classOf = (column) => [column.right && "right", column.less && "less", column.of].filter(Boolean).join(" ");

function newRow(columns, item, choose, keyOf) {
  const row = make("tr");
  columns.forEach((column, at) => {
    const cell = row.appendChild(make(at ? "td" : "th", classOf(column)));
    if (!at) cell.scope = "row";
    const place = !at && choose ? cell.appendChild(make("button")) : cell;
    if (place !== cell) {
      place.type = "button";
      const key = keyOf(item);
      place.addEventListener("click", () => choose(key));
    }
    if (column.bar) {
      const bar = place.appendChild(make("span", "bar"));
      bar.setAttribute("aria-hidden", "true");
      bar.appendChild(make("i"));
    } else {
      place.appendChild(make("span"));
    }
    if (column.small) cell.appendChild(make("small"));
  });
  return row;
}

function fillRow(row, columns, item, isChosen) {
  columns.forEach((column, at) => {
    const cell = row.cells[at];
    if (column.bar) {
      const width = `${(Math.min(1, Math.max(0, column.bar(item) ?? 0)) * 100).toFixed(1)}%`;
      const bar = cell.querySelector("i");
      if (bar.style.width !== width) bar.style.width = width;
    } else {
      const text = cell.querySelector("span");
      say(text, column.show(item));
      if (column.tone) mark(text, column.tone(item) ?? "");
    }
    if (column.small) say(cell.querySelector("small"), column.small(item));
  });
  if (isChosen) {
    const current = String(isChosen(item));
    if (row.getAttribute("aria-current") !== current) row.setAttribute("aria-current", current);
  }
}

// A list of terms with their figures: pairs of a term and a text, or a text, a tone and what stands below it.
export class Facts {
  constructor(place, figureClass = "") {
    this.listing = new Listing(
      place,
      ([term]) => term,
      ([term]) => {
        const pair = make("div");
        pair.append(make("dt", "", term), make("dd", figureClass), make("dd", "more"));
        return pair;
      },
      (pair, [, text, tone = "", more = ""]) => {
        const [, figure, below] = pair.children;
        say(figure, text);
        mark(figure, [figureClass, tone].join(" ").trim());
        say(below, more);
        reveal(below, more !== "");
      },
    );
  }

  show(facts) {
    this.listing.show(facts);
  }
}
