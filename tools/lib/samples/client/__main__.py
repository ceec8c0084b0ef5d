"""The sample's command line: starts a service, or takes one, measures, asks, and compares the answers."""

import argparse
import json
import sys
import time
from collections import defaultdict
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import shmstore
from command_line import FAILURE, OK, Failed, guard, raise_noted, within
from samples.client.measuring import ask, send, value_of
from shmstore.arguments import units
from shmstore.cli.render import Output
from shmstore.http.client import EventStoreClient
from tests.helpers.serving import Serving

PROGRAM = "tools/samples/client"

_AT_ONCE = 500
_COUNT = within(units.whole, 10, 10_000)


def main() -> int:
    """Run it, print each question and its answer, and return 0 when all answers are right."""
    args = _parser().parse_args()
    return guard(PROGRAM, lambda end: _sample(args, end))


def _sample(args: argparse.Namespace, end: ExitStack) -> int:
    url = args.url or _serve(args.name, end)
    client = end.enter_context(EventStoreClient(url))
    out, since, began_s = Output(), datetime.now(UTC), time.perf_counter()
    try:
        for at in range(0, args.count, _AT_ONCE):
            raise_noted()
            send(client, range(at, min(at + _AT_ONCE, args.count)))
        spent_s = time.perf_counter() - began_s
        answers = dict(ask(client, url, since))
    except OSError as error:  # also what the client raises when nobody answers
        raise Failed(str(error)) from None
    out.write([f"{args.count:,} measurements to {url} in {spent_s:.2f} s", ""])
    expected = _expected(args.count)
    for question, answer in answers.items():
        is_right = answer == expected[question]
        out.write([f"{'ok   ' if is_right else 'WRONG'}  {question}: {json.dumps(answer)}"])
        if not is_right:
            out.write([f"       but it was {json.dumps(expected[question])}"])
    return OK if answers == expected else FAILURE


def _serve(name: str, end: ExitStack) -> str:
    """Start a service, whose segments are removed at the end."""
    for segment in (name, f"{name}-records", f"{name}-metrics"):
        if segment in shmstore.list_stores():
            raise Failed(f"there is a store {segment} already; give another --name, or --url of a service")
        end.callback(shmstore.unlink, segment)
    serving = Serving("--name", name, "--capacity", "20_000", "--partitions", "4")
    try:
        end.enter_context(serving)
    except RuntimeError as error:
        raise Failed(str(error)) from None
    return serving.url


def _expected(count: int) -> dict[str, Any]:
    """The answers, by plain Python."""
    by_label: dict[str, list[float]] = defaultdict(list)
    for number in range(count):
        label, value = value_of(number)
        by_label[label].append(value)
    values = [value for found in by_label.values() for value in found]
    sums = sorted(((sum(found), label) for label, found in by_label.items()), reverse=True)
    return {
        "sum": sum(values),
        "sum of cpu": sum(by_label["cpu"]),
        "window of cpu": _summary(by_label["cpu"]),
        "top 2": [{"label": label, "sum": found} for found, label in sums[:2]],
        "sum of 10 minutes": sum(values),
        "all in one": _summary(values),
        "high cpu": {"processed": count, "highCpuCount": sum(value > 80 for value in by_label["cpu"])},
        "kept": count,
    }


def _summary(values: list[float]) -> dict[str, float]:
    total = sum(values)
    return {"count": len(values), "sum": total, "min": min(values), "max": max(values), "avg": total / len(values)}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Send measurements to a service, many at once, and ask every question about them. "
        "Exit status 0: all answers are right; 1: one is not, or there is no answer.",
    )
    add = parser.add_argument
    add("--count", type=_COUNT, default=500, metavar="N", help="how many measurements (default: 500)")
    add("--name", default="measurements", help="the name of the service's stores (default: measurements)")
    add("--url", help="a service that runs already and is empty, instead of one that is started here")
    return parser


if __name__ == "__main__":
    sys.exit(main())
