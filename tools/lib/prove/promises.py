"""What is promised, in order, and for each promise the figures that count as shown.

A promise is shown when its tests passed and noted each figure of its bar: added up, at least or at most so much. Of
what tools/prove tries in thousands, a run of tools/test takes a sample, for which less is enough. Tests note figures
through the fixture `scorecard`, under the number of the promise.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TEXT = """
1 an append that returned survives any death
  kills ≥ 5_000 (a sample: 1_250), lost = 0, doubled = 0
2 no read is torn, foreign or stale, and no question is answered from one that is
  reads ≥ 10_000_000, answers ≥ 120, answers_of_several_passes ≥ 40, torn = 0, unexplained = 0
3 death at any instruction leaves the rest working
  operations ≥ 7, runs ≥ 10_000, missed_boundaries = 0, violations = 0
  killed at every instruction boundary of each operation, of questions too, in both layouts
4 whoever repairs may die too, and two may repair at once
  pairs ≥ 500, violations = 0
5 a frozen process is not dead, and corrupts nothing when it goes on
  operations ≥ 7, runs ≥ 10_000, missed_boundaries = 0, violations = 0
  frozen at every instruction boundary of each operation, of questions too, in both layouts, lapped and resumed
6 a frozen process stops nobody, and costs one slot a lap
  frozen_writers ≥ 5, appends_beside_them ≥ 20_000, slots_lost_beyond_one_a_lap = 0
7 loss is counted exactly, by cause
  tickets ≥ 100_000, unexplained = 0
10 the protocol holds under C11, not only on this processor
  states ≥ 1, mutants_caught ≥ 1, mutants_survived = 0, violations = 0
  each model is explored whole
11 death is noticed soon
  kills ≥ 50, meetings ≥ 15, slowest_repair_ms ≤ 2_500
  meant are 250 ms; ten times that is the limit, for the tests share the machine
12 identity survives reuse of numbers, zombies, forks and namespaces
  ways ≥ 10, false_deaths = 0
13 creation is atomic
  rounds ≥ 300 (a sample: 100), half_made = 0, stuck_names = 0
14 a full /dev/shm is an exception at creation
  sizes ≥ 10, signals = 0, bytes_left = 0
15 a corrupted, truncated or foreign segment is an error, and no wrong answer
  mutants ≥ 2_000 (a sample: 500), scribbled_summaries ≥ 200, crashes = 0, hangs = 0, wrong_answers = 0
16 nobody removes a segment that is not theirs, however they end
  ends ≥ 24, removed = 0, warnings = 0
17 signals do not break operations, and end long questions
  signals ≥ 500, long_questions_ended ≥ 3, violations = 0
18 metrics stay exact and scrapeable while workers die
  kills ≥ 500 (a sample: 20), scrapes ≥ 1_000 (a sample: 40), failed_scrapes = 0, wrong = 0
  workers of gunicorn under load; after each kill a scrape in both formats, read by prometheus_client and promtool
19 looking and asking do not disturb
  looks ≥ 6, bytes_changed = 0
20 numbers wrap safely
  wraps ≥ 4, violations = 0
21 the core is free of data races and of undefined behaviour
  suites_with_thread_sanitizer ≥ 3, suites_with_address_sanitizer ≥ 9, reports = 0
22 nothing leaks
  lifetimes ≥ 500 (a sample: 160), places_lost = 0, descriptors_grown = 0
23 whoever fails in the middle of reading loses nothing
  failures ≥ 200, lost = 0, doubled = 0
  raising handlers, refusing record classes and damaged slots at each record of read, for, async for and others
24 what the program does with descriptors harms neither it nor the store
  operations ≥ 30, ways ≥ 60, foreign_descriptors_touched = 0, false_deaths = 0
  all closed, reused by other files or overwritten, before each operation and at close, also in a fork
25 a refused value leaves nothing
  refused ≥ 300, traces = 0
  each way to append refused at each field and row: keys, tickets and bytes are as before
26 what streams tell has one order that explains it, whoever dies or stands still
  calls ≥ 800_000 (a sample: 80_000), kills ≥ 200 (a sample: 10), anomalies = 0, planted ≥ 1_000, missed = 0
  versions, expectations, ids, batches and readings of 4 to 8 processes, held against the order of positions
27 an append to a stream is there once or not at all, whoever dies or stands still at any instruction
  deaths ≥ 20_000 (a sample: 2_000), standstills ≥ 20_000 (a sample: 2_000), errors_found ≥ 15, violations = 0
  appending, also under a condition, with ids and in batches, helping, keeping, taking, giving up, repairing, reading
28 the service stands bad HTTP
  requests ≥ 1_000_000 (a sample: 5_000), appends ≥ 300, failed = 0, wrong = 0, growth_bytes ≤ 50_331_648
  anything to shmstore-serve and to gunicorn beside clients that append; and what schemathesis makes of its description
29 closing, forking or signalling in the middle of any call crashes nothing
  functions ≥ 70, disturbances ≥ 2_000
  each function of the core, at each place where other Python code may run
"""  # number and promise; its bar; a note on the bar

_BOUND = re.compile(r"(\w+) ([≥≤=]) (\w+)(?: \(a sample: (\w+)\))?")


@dataclass(frozen=True)
class Promise:
    """One promise and its bar."""

    row: int
    says: str
    least: dict[str, int]
    most: dict[str, int]
    sample: dict[str, int]
    """What stands in place of figures of `least` when samples were taken."""
    note: str

    def enough(self, full: bool) -> dict[str, int]:
        """What there must be at least, of a run that tried everything or of one that took samples."""
        return {**self.least, **({} if full else self.sample)}

    def bar(self, full: bool) -> str:
        """The bar in short."""
        least = [f"{name.replace('_', ' ')} ≥ {number:,}" for name, number in self.enough(full).items()]
        if not full and self.sample:
            whole = ", ".join(f"{self.least[name]:,} {name.replace('_', ' ')}" for name in self.sample)
            least.append(f"a sample: tools/prove tries {whole}")
        most = [f"{name.replace('_', ' ')} {'≤' if number else '='} {number:,}" for name, number in self.most.items()]
        return ", ".join([*least, *most]) + (f" ({self.note})" if self.note else "")


def _read(text: str) -> Iterator[Promise]:
    for lines in (block.splitlines() for block in re.split(r"\n(?=\d)", text.strip())):
        row, says = lines[0].split(" ", 1)
        bounds = _BOUND.findall(lines[1])
        least = {name: int(number) for name, sign, number, _ in bounds if sign == "≥"}
        most = {name: int(number) for name, sign, number, _ in bounds if sign != "≥"}
        sample = {name: int(number) for name, _, _, number in bounds if number}
        yield Promise(int(row), says, least, most, sample, " ".join(map(str.strip, lines[2:])))


PROMISES = tuple(_read(_TEXT))
