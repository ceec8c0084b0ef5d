"""Processes that enter the same keys at once, some of them killed meanwhile, agree on the number of each."""

import random
import time
from contextlib import ExitStack

import shmstore
from shmstore import Key, Record
from tests.helpers.processes import Child, Gate, shared_numbers

KEYS = 10_000
PROCESSES = 3
KILLS = 20


class Named(Record):
    key: Key


def text(number: int) -> str:
    """Texts of every length, also of several words of memory, that differ in their last letters or their length."""
    return "k" * (number % 50) + str(number)


def test_processes_that_enter_the_same_keys_at_once_agree_on_their_numbers(name: str, seed: int) -> None:
    dice, gate = random.Random(seed), Gate()
    seen = shared_numbers(PROCESSES * KEYS)

    def enter(process: int) -> None:
        gate.wait()
        with shmstore.attach(name, Named) as handle:
            for number in range(KEYS):  # in the same order: who is ahead enters keys, which is slower than to find them
                seen[process * KEYS + number] = handle.key(text(number))

    with shmstore.create(name, Named, capacity=8, partitions=1, keys=KEYS, processes=KILLS + 10) as store:
        with ExitStack() as children:
            lasting = [
                children.enter_context(Child(lambda number=number: enter(number))) for number in range(PROCESSES)
            ]
            mortal = [children.enter_context(Child(lambda: enter(0))) for _ in range(KILLS)]
            gate.open()
            for child in mortal:
                time.sleep(dice.random() * 0.001)
                child.kill()
            assert [child.wait() for child in lasting] == [0] * PROCESSES
        numbers = [store.key(text(number)) for number in range(KEYS)]
        assert len(set(numbers)) == KEYS
        for process in range(PROCESSES):
            assert list(seen[process * KEYS : (process + 1) * KEYS]) == numbers
        assert [store.keys()[number] for number in numbers] == [text(number) for number in range(KEYS)]
        assert store.check() == []
        shmstore.unlink(name)
