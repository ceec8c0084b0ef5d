// Health: what was lost in all stores, who is dead, and what the doctor finds.

import { Question } from "./live.js";
import { byId, Facts, Listing, make, mark, reveal, say } from "./tables.js";
import { count, plural } from "./words.js";

const TONES = { ok: "good", warning: "warning", bad: "bad" };

export class Health {
  constructor() {
    this.losses = new Facts(byId("losses"));
    const listing = (place) => new Listing(place, (finding) => finding.what, newFinding, fillFinding);
    this.findings = listing(byId("findings"));
    this.sound = listing(byId("sound").querySelector("ul"));
    this.asked = new Question("/dashboard/health", (answer) => this.showFindings(answer.findings), (text) => say(byId("health-word"), text));
  }

  forget() {
    this.asked.forget();
  }

  show(rows) {
    const total = (what) => rows.reduce((sum, row) => sum + (row[what] ?? 0), 0);
    this.losses.show(["skipped", "voided", "lapped", "dead"].map((what) => [what, count(total(what)), total(what) ? "warning" : ""]));
  }

  look(isAnew) {
    this.asked.look({}, isAnew);
  }

  showFindings(all) {
    const serious = all.filter((finding) => finding.health !== "ok");
    const sound = all.filter((finding) => finding.health === "ok");
    serious.sort((one, other) => one.health.localeCompare(other.health)); // bad comes before warning
    this.findings.show(serious);
    this.sound.show(sound);
    const isBad = serious.some((finding) => finding.health === "bad");
    say(byId("health-word"), serious.length ? `${plural(serious.length, "finding")} to look at` : "All is well.");
    mark(byId("health-word"), serious.length ? (isBad ? "bad" : "warning") : "good");
    reveal(byId("sound"), sound.length > 0);
    say(byId("sound").querySelector("summary"), `${plural(sound.length, "thing")} found sound`);
  }
}

function newFinding() {
  const item = make("li");
  item.append(make("b"), " ", make("span"), make("small"));
  return item;
}

function fillFinding(item, finding) {
  const [what, found, advice] = item.children;
  say(what, `${finding.health === "ok" ? "" : `${finding.health}: `}${finding.what}`);
  mark(what, TONES[finding.health] ?? "");
  say(found, finding.found);
  say(advice, finding.advice);
}
