"""Processes that append to streams and read them, are killed and stopped, and write down each call before and after it.

So what a process was about to do when it was killed is known, and so is what it had been told.
"""

import json
import math
import os
import random
import signal
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import shmstore
from shmstore import NewEvent, Stream, WrongExpectedVersion
from tests.helpers.histories import Call, History, Logged, Wanted
from tests.helpers.processes import Child, eventually, shared_numbers

STREAMS = ("a", "b", "c")
_IDS = 6  # that processes choose from at a time: so several append the same
_LIFE = 1 << 20  # tokens of one life


class Recorder:
    """One life of a process: what it does, and its notes."""

    def __init__(self, store: shmstore.StreamStore, notes: Path, life: int, dice: random.Random) -> None:
        self._store = store
        self._tokens = count(life * _LIFE)
        self._dice = dice
        self._file = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._newest = dict.fromkeys(STREAMS, -1)

    def _note(self, *what: Any) -> None:
        os.write(self._file, json.dumps(what).encode() + b"\n")

    def one_call(self) -> None:
        """Do one thing to one stream, chosen by dice."""
        stream = self._store[self._dice.choice(STREAMS)]
        what = self._dice.randrange(20)
        if what < 4:
            self._read(stream)
        elif what < 9:
            self._append(stream, [self._wanted()], None)
        elif what < 14:
            self._append(stream, [self._wanted()], self._newest[stream.name])
        elif what < 17:
            self._append(stream, [self._wanted(stream)], None)
        else:
            batch = [
                self._wanted(stream if self._dice.random() < 0.3 else None) for _ in range(self._dice.randrange(2, 6))
            ]
            ids = [each.id for each in batch if each.id]
            if len(ids) == len(set(ids)):
                self._append(stream, batch, self._newest[stream.name] if self._dice.random() < 0.5 else None)

    def _wanted(self, stream: Stream | None = None) -> Wanted:
        """An event; of a stream, with an id that others may choose as well."""
        token = next(self._tokens)
        return Wanted(token, f"{(stream.version + self._dice.randrange(_IDS)) // _IDS}" if stream else None)

    def _append(self, stream: Stream, events: list[Wanted], expected: int | None) -> None:
        given = [NewEvent(each.token, event_id=each.id) for each in events]
        expectation = shmstore.ANY if expected is None else expected
        self._note(time.monotonic_ns(), stream.name, expected, events)
        versions, newest = [], None
        begun = time.monotonic_ns()
        try:
            if len(given) > 1:
                versions = stream.append_many(given, expected_version=expectation)
            else:
                versions = [stream.append(given[0].data, event_id=given[0].event_id, expected_version=expectation)]
        except WrongExpectedVersion as error:
            newest = error.actual
        ended = time.monotonic_ns()
        self._newest[stream.name] = max(*versions, self._newest[stream.name]) if newest is None else newest
        self._note(begun, ended, versions, newest, {})

    def _read(self, stream: Stream) -> None:
        begun = time.monotonic_ns()
        newest = stream.version
        ended = time.monotonic_ns()
        least = max(0, newest - self._dice.randrange(1, 8))
        saw = {event.version: event.data for event in stream.read(least, missing="report")}
        self._newest[stream.name] = newest
        self._note(begun, stream.name, None, [])
        self._note(begun, ended, [], newest, saw)


def _calls(notes: Path) -> Iterator[Call]:
    lines = notes.read_bytes().split(b"\n")[:-1]  # the last may be cut where a page ends: then that is as if not noted
    for at in range(0, len(lines), 2):
        about_to, stream, expected, events = json.loads(lines[at])
        wanted = [Wanted(*each) for each in events]
        if at + 1 == len(lines):  # killed meanwhile
            yield Call(stream, about_to, events=wanted, expected=expected)
            continue
        begun, ended, versions, newest, saw = json.loads(lines[at + 1])
        seen = {int(version): token for version, token in saw.items()}
        yield Call(stream, begun, ended, wanted, expected, versions, newest, seen)


class Recording:
    """Several processes at work on a store, some killed and some stopped now and then; and what became of it."""

    def __init__(
        self, store: shmstore.StreamStore, folder: Path, dice: random.Random, processes: int, calls: int
    ) -> None:
        self.killed = self.stopped = 0
        self.violations: list[str] = []
        self._store, self._folder, self._dice = store, folder, dice
        self._left, self._begun = shared_numbers(1), shared_numbers(1)
        self._left[0] = calls
        self._attached = shared_numbers(processes)
        self._lives = 0
        self._processes = [self._start(place) for place in range(processes)]

    def _start(self, place: int) -> Child:
        self._lives += 1
        life, seed = self._lives, self._dice.random()

        def live() -> None:
            with shmstore.attach_streams(self._store.name) as store:
                recorder = Recorder(store, self._folder / str(life), life, random.Random(seed))
                self._attached[place] = 1
                while not self._begun[0]:
                    time.sleep(0.001)
                while self._left[0] > 0:
                    recorder.one_call()
                    self._left[0] -= 1  # about: they count down together

        return Child(live)

    def run(self) -> None:
        """Let them make all their calls."""
        try:
            assert eventually(lambda: all(self._attached))  # else one does it all before the others are there
            self._begun[0] = 1
            while self._left[0] > 0:
                time.sleep(self._dice.random() * 0.01)
                self._disturb()
            assert {process.wait() for process in self._processes} == {0}
            self.violations = self._store.check()
        finally:
            for process in self._processes:
                process.kill()

    def _disturb(self) -> None:
        turn = self._dice.randrange(len(self._processes))
        if self._dice.random() < 0.5:
            if self._processes[turn].kill() == -signal.SIGKILL:
                self.killed += 1
            self._processes[turn] = self._start(turn)
        else:
            self._processes[turn].send(signal.SIGSTOP)
            time.sleep(self._dice.random() * 0.01)
            self._processes[turn].send(signal.SIGCONT)
            self.stopped += 1

    def histories(self) -> list[History]:
        """One of each partition."""
        calls = [call for notes in sorted(self._folder.iterdir()) for call in _calls(notes)]
        partitions: dict[int, list[Logged]] = {}
        for name in STREAMS:
            for event in self._store[name].read(missing="report"):
                logged = Logged(name, event.version, event.position, event.data, event.event_id)
                partitions.setdefault(event.position % self._store.partitions, []).append(logged)
        kept = all(self._store[name].first_version == 0 for name in STREAMS)
        remembers = math.inf if kept else self._store.capacity
        return [
            _history(calls, sorted(log, key=lambda event: event.position), remembers) for log in partitions.values()
        ]


def _history(calls: list[Call], log: list[Logged], remembers: float) -> History:
    streams = {event.stream for event in log}
    return History([call for call in calls if call.stream in streams], log, remembers)


def record(
    name: str, folder: Path, dice: random.Random, *, calls: int, capacity: int, partitions: int
) -> tuple[Recording, list[History]]:
    """Let 4 to 8 processes make about so many calls to a new store, and read what is there in the end."""
    folder.mkdir()
    with shmstore.create_streams(name, capacity=capacity, partitions=partitions, data_bytes=32) as store:
        try:
            recording = Recording(store, folder, dice, processes=dice.randrange(4, 9), calls=calls)
            recording.run()
            return recording, recording.histories()
        finally:
            shmstore.unlink(name)
