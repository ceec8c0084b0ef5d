"""Those who look: readers, who account for every ticket, and lookers, who copy, clear and attach, and may be killed."""

import sys
import time
from datetime import timedelta

import shmstore
from ordeal.account import Account, Wrong
from ordeal.event import PARTITIONS, wrong_with_snapshot
from ordeal.stage import CALM, Stage, Word
from shmstore import Coordinator
from shmstore.reading.gap import gaps_of

FOUND = 71
"""The exit code of who found something wrong, and has said so on stderr."""

_AT_ONCE = 2000
_OLD = timedelta(milliseconds=200)


def read(stage: Stage, reader: int) -> int:
    """Follow every partition from its first ticket to its last, and balance."""
    try:
        with shmstore.attach(stage.store.name) as store:
            cursors = [store._core.cursor([(partition, 0)]) for partition in range(PARTITIONS)]
            accounts = [Account(partition, stage.ledger) for partition in range(PARTITIONS)]
            dice = stage.dice("reader", reader)
            while True:
                rests = stage.words[Word.RESTS]
                before = [account.next for account in accounts]
                for account, cursor in zip(accounts, cursors, strict=True):
                    records = cursor.read(_AT_ONCE)
                    [(_, end)] = cursor.positions()
                    account.take(records, gaps_of(cursor.drain_gaps()), end)
                stage.show_reader(reader, sum(account.read for account in accounts), accounts[CALM].next)
                if before == [account.next for account in accounts]:
                    if rests:
                        break
                    dice.choice(cursors).wait(0.005)
            for account, totals in zip(accounts, store._core.totals(), strict=True):
                account.close(totals.tail, totals.voided, totals.skipped, rests)
    except Wrong as wrong:
        return _found(f"reader {reader}", str(wrong))
    return 0


def look(stage: Stage, looker: int, life: int) -> int:
    """Copy one partition after another, and now and then clear, in handles of its own."""
    dice = stage.dice("looker", looker, life)
    while not stage.words[Word.ENDS]:
        read_only = dice.random() < 0.3
        with shmstore.attach(stage.store.name, read_only=read_only) as store:
            stage.add(Word.ATTACHED)
            for _ in range(dice.randrange(1, 50)):
                partition = dice.randrange(PARTITIONS)
                snapshot = store.snapshot(partition=partition)
                if wrong := wrong_with_snapshot(snapshot, partition):
                    return _found(f"looker {looker}", f"{wrong} (partition {partition})")
                stage.add(Word.SNAPSHOTS)
                stage.add(Word.COPIED, len(snapshot))
                if not read_only and dice.random() < 0.01:
                    store.purge(older_than=_OLD) if dice.random() < 0.7 else store.clear()
                    stage.add(Word.CLEARED)
                if stage.words[Word.ENDS]:
                    break
    return 0


def coordinate(stage: Stage) -> None:
    """Coordinate the store, or stand by."""
    with shmstore.attach(stage.store.name) as store, Coordinator(store):
        while not stage.words[Word.ENDS]:
            time.sleep(0.02)


def _found(who: str, wrong: str) -> int:
    print(f"WRONG  {who}: {wrong}", file=sys.stderr)
    return FOUND
