"""The node table of a metrics segment: claiming, changing, finding; the numbers are the sentences of nodes.h.

Texts are one unit. Keys are two letters: the first says the chain. A node's owner is a thread.
"""

from typing import NamedTuple

from tests.core.operations import (
    Program,
    cas_acq_rel,
    cas_release,
    fence_acquire,
    fence_release,
    is_dead,
    load_acquire,
    load_relaxed,
    store_relaxed,
)

NODES = (0, 1, 2)
CHAINS = ("a", "b")

FREE, CLAIMED, LIVE, REMOVED, PART = "FREE", "CLAIMED", "LIVE", "REMOVED", "PART"
IDLE, INSERT, LINK, REMOVE, UNLINK = "IDLE", "INSERT", "LINK", "REMOVE", "UNLINK"
CHANGED = "CHANGED"


class Word(NamedTuple):
    generation: int
    state: str
    subject: int | None = None


class Link(NamedTuple):
    number: int
    node: int | None


class Change(NamedTuple):
    number: int
    what: str
    node: int | None = None


def word_of(node: int) -> tuple[str, int]:
    return "word", node


def link_of(node: int) -> tuple[str, int]:
    return "link", node


def more_of(node: int) -> tuple[str, int]:
    return "more", node


def text_of(node: int) -> tuple[str, int]:
    return "text", node


def chain_of(key: str) -> tuple[str, str]:
    return "chain", key[0]


class Nodes:
    """The protocol as it is."""

    # [1] Claiming.

    def claim(self, me: int, node: int) -> Program:
        word = yield load_relaxed("", word_of(node))
        if word.state != FREE:
            yield from self.clean(node, word)
            word = yield load_relaxed("", word_of(node))
        if word.state != FREE:
            return False
        done, _ = yield cas_acq_rel("claim:node", word_of(node), word, Word(word.generation, CLAIMED, me))
        yield fence_release("claim:fence")
        return done

    def clean(self, node: int, word: Word) -> Program:
        if word.state == REMOVED:
            yield from self.announce(REMOVE, node)
        elif word.state == CLAIMED and word.subject is not None:
            owner_is_dead = yield is_dead(word.subject)
            if owner_is_dead:
                yield from self.sweep_node(node, word)

    def claim_with_part(self, me: int, node: int, part: int) -> Program:
        """Returns whether both could be had."""
        claimed = yield from self.claim(me, node)
        if not claimed:
            return False
        word = yield load_relaxed("", word_of(node))
        yield store_relaxed("", more_of(node), None)
        claimed = yield from self.claim(me, part)
        if claimed:
            yield from self.add_part(node, part)
        else:
            yield from self.free_with_parts(node, word)
        return claimed

    def add_part(self, node: int, part: int) -> Program:
        word = yield load_relaxed("", word_of(part))
        yield store_relaxed("", more_of(part), None)
        yield store_relaxed("", more_of(node), part)
        yield cas_release("changes_claim:part", word_of(part), word, Word(word.generation, PART, node))

    def free_node(self, node: int, word: Word) -> Program:
        yield cas_release("free_node:node", word_of(node), word, Word(word.generation + 1, FREE))

    def last_part(self, node: int) -> Program:
        last, at = None, node
        while True:
            more = yield load_relaxed("", more_of(at))
            if more is None:
                return last
            at = more
            word = yield load_acquire("last_part:word", word_of(at))
            if word.state != PART or word.subject != node:
                return last
            last = at, word

    def free_with_parts(self, node: int, word: Word) -> Program:
        while True:
            last = yield from self.last_part(node)
            if last is None:
                break
            now = yield load_relaxed("", word_of(node))
            if now != word:
                return
            part, its = last
            yield from self.free_node(part, its)
        yield from self.free_node(node, word)

    def sweep_node(self, node: int, word: Word) -> Program:
        yield from self.finish()
        yield from self.free_with_parts(node, word)

    def sweep(self, owner: int, *nodes: int) -> Program:
        for node in nodes:
            word = yield load_acquire("", word_of(node))
            if word.state == CLAIMED and word.subject == owner:
                yield from self.sweep_node(node, word)

    # [2, 3] Changing the chains.

    def go_on(self, change: Change, what: str) -> Program:
        after = Change(change.number, what, None if what == IDLE else change.node)
        yield cas_acq_rel("go_on:change", "change", change, after)

    def is_still(self, change: Change) -> Program:
        now = yield load_relaxed("", "change")
        return now == change

    def decide_insertion(self, change: Change, node: int) -> Program:
        """[4]"""
        key = yield load_relaxed("", text_of(node))
        at = yield load_acquire("", chain_of(key))
        while at.node is not None:
            word = yield load_acquire("", word_of(at.node))
            its = yield load_relaxed("", text_of(at.node))
            if word.state == LIVE and its == key:
                yield from self.go_on(change, IDLE)
                return
            at = yield load_acquire("", link_of(at.node))
        yield from self.go_on(change, LINK)

    def link_node(self, change: Change, node: int) -> Program:
        """[4]"""
        word = yield load_acquire("link_node:word", word_of(node))
        key = yield load_relaxed("", text_of(node))
        first = yield load_acquire("link_node:first", chain_of(key))
        link = yield load_acquire("link_node:next", link_of(node))
        is_still = yield from self.is_still(change)
        if not is_still:
            return
        if word.state == CLAIMED:
            if first.node != node:
                after = Link(change.number, first.node)
                if link != after:
                    yield cas_release("link_node:link", link_of(node), link, after)
                yield cas_release("link_node:chain", chain_of(key), first, Link(change.number, node))
            yield cas_release("link_node:live", word_of(node), word, Word(word.generation, LIVE))
        yield from self.go_on(change, IDLE)

    def decide_removal(self, change: Change, node: int) -> Program:
        """[5]"""
        word = yield load_acquire("", word_of(node))
        yield from self.go_on(change, UNLINK if word.state == REMOVED else IDLE)

    def unlink_node(self, change: Change, node: int) -> Program:
        """[5]"""
        word = yield load_acquire("unlink_node:word", word_of(node))
        key = yield load_relaxed("", text_of(node))
        place = chain_of(key)
        link = yield load_acquire("unlink_node:place", place)
        while link.node is not None and link.node != node:
            place = link_of(link.node)
            link = yield load_acquire("unlink_node:place", place)
        behind = yield load_relaxed("", link_of(node))
        is_still = yield from self.is_still(change)
        if not is_still:
            return
        if word.state == REMOVED:
            if link.node == node:
                yield cas_release("unlink_node:link", place, link, Link(change.number, behind.node))
            yield from self.free_with_parts(node, word)
        yield from self.go_on(change, IDLE)

    def make(self, change: Change) -> Program:
        if change.what == INSERT:
            yield from self.decide_insertion(change, change.node)
        elif change.what == LINK:
            yield from self.link_node(change, change.node)
        elif change.what == REMOVE:
            yield from self.decide_removal(change, change.node)
        else:
            yield from self.unlink_node(change, change.node)

    def finish(self) -> Program:
        change = yield load_acquire("finish:change", "change")
        number = change.number
        while change.what != IDLE and change.number == number:
            yield from self.make(change)
            change = yield load_acquire("finish:change", "change")
        return change

    def announce(self, what: str, node: int) -> Program:
        done = False
        while not done:
            change = yield from self.finish()
            if change.what == IDLE:
                mine = Change(change.number + 1, what, node)
                done, _ = yield cas_acq_rel("announce:change", "change", change, mine)
        yield from self.finish()

    # Inserting, removing, finding.

    def fill(self, node: int, key: str) -> Program:
        yield store_relaxed("write_text:text", text_of(node), key)

    def insert(self, node: int, key: str) -> Program:
        """Of a claimed node; returns whether it was inserted."""
        yield from self.fill(node, key)
        claimed = yield load_relaxed("", word_of(node))
        yield from self.announce(INSERT, node)
        word = yield load_relaxed("", word_of(node))
        if word == claimed:
            yield from self.free_with_parts(node, claimed)
        return word != claimed

    def remove(self, node: int, generation: int) -> Program:
        live = Word(generation, LIVE)
        done, _ = yield cas_acq_rel("nodes_remove:word", word_of(node), live, Word(generation, REMOVED))
        if done:
            yield from self.announce(REMOVE, node)
        return done

    def find(self, key: str) -> Program:
        """[6] Returns the node and its generation, or None."""
        found = CHANGED
        while found == CHANGED:
            found = yield from self.follow_chain(key)
        return found

    def follow_chain(self, key: str) -> Program:
        link = yield load_acquire("nodes_find:first", chain_of(key))
        while link.node is not None:
            at = link.node
            word = yield load_acquire("nodes_find:word", word_of(at))
            link = yield load_acquire("nodes_find:next", link_of(at))
            its = yield load_relaxed("copy_text:text", text_of(at))
            yield fence_acquire("")
            again = yield load_relaxed("nodes_find:again", word_of(at))
            if again != word or chain_of(its) != chain_of(key):
                return CHANGED
            if word.state == LIVE and its == key:
                return at, word.generation
        return None
