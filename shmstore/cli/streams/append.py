"""`streams append`: append lines of JSON to a stream, each by itself or all as one."""

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO

from shmstore.cli.exits import OK
from shmstore.cli.render import Mode, Output
from shmstore.cli.streams.lines import Line, lines_of
from shmstore.cli.survey import open_streams
from shmstore.errors import InvalidOption, ShmStoreError
from shmstore.streams.event import ANY, EXISTS, NO_STREAM, ExpectedVersion, NewEvent
from shmstore.streams.stream import Stream

HELP = "append lines of JSON, each of which is the data of an event; prints the versions"
EXAMPLES = (
    "streams append orders-ledger gateway/orders fills.jsonl --type Filled",
    "streams append orders-ledger gateway/orders --events --expected-version no_stream --batch",
)

_WORDS = {str(expected.value): expected for expected in (ANY, NO_STREAM, EXISTS)}

_NOTHING = "nothing was appended"
_OF_BATCH = re.compile(r"event (\d+) of the batch")

Expected = ExpectedVersion | int


def _expected(text: str) -> Expected:
    word = text.lower()
    if word in _WORDS:
        return _WORDS[word]
    try:
        version = int(text)
    except ValueError:
        version = -2
    if version < -1:
        raise argparse.ArgumentTypeError(f"{text!r} is not any, no_stream, exists or a version, a number of 0 or more")
    return version


def declare(parser: argparse.ArgumentParser) -> None:
    """Add the verb's own arguments."""
    parser.add_argument("name", help="the store of streams")
    parser.add_argument("stream", metavar="STREAM", help="the stream; it need not exist")
    parser.add_argument(
        "file", nargs="?", default="-", metavar="FILE", help="lines of JSON (default: -, standard input)"
    )
    parser.add_argument("--type", metavar="T", help="the type of events whose lines say none")
    parser.add_argument(
        "--expected-version",
        type=_expected,
        default=ANY,
        metavar="VERSION",
        help="append only if the stream is so: any (the default), no_stream, exists, or its version. With no_stream or "
        "a version, each line after the first expects the version of the line before",
    )
    parser.add_argument("--batch", action="store_true", help="append all lines at once, or none")
    parser.add_argument(
        "--events",
        action="store_true",
        help="each line is an object with data, type, event_id and metadata, as `tail --json` prints them; bytes, "
        "which it prints in base64, become text",
    )


def run(args: argparse.Namespace, out: Output) -> int:
    """Append the lines in their order. An error says what was appended before it."""
    with _opened(args.file) as file, open_streams(args.name, read_only=False) as streams:
        stream = streams[args.stream]
        append = _at_once if args.batch else _one_by_one
        append(stream, lines_of(file), args, out)
    return OK


def _at_once(stream: Stream, lines: Iterator[Line], args: argparse.Namespace, out: Output) -> None:
    taken, events = [], []
    for line in islice(lines, stream.slots + 1):  # so many are too many; there may be no end of them
        with _telling(f"line {line.number} ", _NOTHING):
            events.append(line.event(args.type, whole=args.events))
        taken.append(line)
    with _telling("", _NOTHING, taken):
        versions = stream.append_many(events, expected_version=args.expected_version)
    for line, version in zip(taken, versions, strict=True):
        _print(line, version, out)


def _one_by_one(stream: Stream, lines: Iterator[Line], args: argparse.Namespace, out: Output) -> None:
    expected, done = args.expected_version, _NOTHING
    chained = expected not in (ANY, EXISTS)
    for line in lines:
        with _telling(f"line {line.number} ", done):
            event = line.event(args.type, whole=args.events)
        with _telling(f"line {line.number}: ", done):
            version = _append(stream, event, expected)
        done = f"the lines before were appended, line {line.number} as version {version}"
        if chained:
            expected = version
        try:
            _print(line, version, out)
        except BrokenPipeError:
            raise OSError(f"nobody reads the versions any more; all lines up to {line.number} were appended") from None


def _append(stream: Stream, event: NewEvent, expected: Expected) -> int:
    return stream.append(
        event.data,
        type=event.type,
        event_id=event.event_id,
        metadata=event.metadata,
        expected_version=expected,
    )


def _print(line: Line, version: int, out: Output) -> None:
    if out.mode is Mode.JSON:
        out.object({"line": line.number, "version": version})
    else:
        out.write([str(version)])


@contextmanager
def _telling(where: str, done: str, batch: Sequence[Line] = ()) -> Iterator[None]:
    """Let an error say where it was, also in a batch of these lines, and what was appended before."""
    try:
        yield
    except ShmStoreError as error:
        said = _OF_BATCH.sub(lambda found: f"line {batch[int(found[1])].number}", str(error), count=1)
        more = "" if done in said else f"; {done}"
        error.args = (*error.args[:-1], f"{where}{said}{more}")  # its text is the last of what it is made of
        raise


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    """The file, or standard input. Raises OSError, InvalidOption."""
    if path != "-":
        with open(path, "rb") as file:
            yield file
    elif sys.stdin is None:
        raise InvalidOption("standard input is closed; name a FILE")
    else:
        yield sys.stdin.buffer
