"""Readers, which account for every ticket, and observers, which copy, clear and attach, and may be killed."""

import sys
import time
from datetime import timedelta

import shmstore
from shmstore import Coordinator
from stress.event import PARTITIONS, identify, wrong_with_snapshot
from stress.shared import CALM, Shared, Word
from tests.helpers.accounting import Reader, Wrong

FOUND = 71
"""The exit code of a process that found something wrong and has said so on stderr."""

_AT_ONCE = 2000
_OLD = timedelta(milliseconds=200)


def read(shared: Shared, reader: int) -> int:
    """Follow every partition from its first ticket to its last, and balance."""
    try:
        with shmstore.attach(shared.store.name) as store:
            follower, dice = Reader(store, shared.ledger, identify), shared.dice("reader", reader)
            while True:
                rests = shared.words[Word.RESTS]
                found = follower.read(_AT_ONCE)
                shared.show_reader(reader, sum(account.read for account in follower.accounts), follower.next[CALM])
                if not found:
                    if rests:
                        break
                    dice.choice(follower.cursors).wait(0.005)
            follower.close(rests)
    except Wrong as wrong:
        return _found(f"reader {reader}", str(wrong))
    return 0


def look(shared: Shared, observer: int, life: int) -> int:
    """Copy one partition after another and clear now and then, with handles of its own."""
    dice = shared.dice("observer", observer, life)
    while not shared.words[Word.ENDS]:
        read_only = dice.random() < 0.3
        with shmstore.attach(shared.store.name, read_only=read_only) as store:
            shared.add(Word.ATTACHED)
            for _ in range(dice.randrange(1, 50)):
                partition = dice.randrange(PARTITIONS)
                snapshot = store.snapshot(partition=partition)
                if wrong := wrong_with_snapshot(snapshot, partition):
                    return _found(f"observer {observer}", f"{wrong} (partition {partition})")
                shared.add(Word.SNAPSHOTS)
                shared.add(Word.COPIED, len(snapshot))
                if not read_only and dice.random() < 0.01:
                    store.purge(older_than=_OLD) if dice.random() < 0.7 else store.clear()
                    shared.add(Word.CLEARED)
                if shared.words[Word.ENDS]:
                    break
    return 0


def coordinate(shared: Shared) -> None:
    """Coordinate the store, or stand by."""
    with shmstore.attach(shared.store.name) as store, Coordinator(store):
        while not shared.words[Word.ENDS]:
            time.sleep(0.02)


def _found(who: str, wrong: str) -> int:
    print(f"WRONG  {who}: {wrong}", file=sys.stderr)
    return FOUND
