"""Threads that use the node table of nodes.py, and what must hold when they have ended."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.core.models.nodes import (
    CHAINS,
    CLAIMED,
    FREE,
    IDLE,
    LINK,
    LIVE,
    NODES,
    PART,
    REMOVE,
    REMOVED,
    UNLINK,
    Change,
    Link,
    Nodes,
    Word,
    link_of,
    more_of,
    text_of,
    word_of,
)
from tests.core.operations import (
    Program,
    Scenario,
    cas_acq_rel,
    fence_acquire,
    is_dead,
    load_acquire,
    load_relaxed,
    require,
)

UNCHANGED = Change(9, IDLE)


class UsedNodes(Nodes):
    """The protocol, and the threads that use it."""

    # What must hold.

    def at_rest(self, values: Mapping[Any, Any], results: Sequence[Any]) -> None:
        change = values["change"]
        seen: set[int] = set()
        for chain in CHAINS:
            keys = []
            link = values["chain", chain]
            while link.node is not None:
                at = link.node
                require(at not in seen, f"node {at} is twice in the chains")
                seen.add(at)
                word, key = values[word_of(at)], values[text_of(at)]
                being_linked = word.state == CLAIMED and change[1:] == (LINK, at)
                require(word.state in (LIVE, REMOVED) or being_linked, f"{word} is in a chain")
                require(key[0] == chain, f"{key} is in chain {chain}")
                keys += [key] * (word.state == LIVE)
                link = values[link_of(at)]
            require(len(set(keys)) == len(keys), f"a key is there twice: {keys}")
        for node in NODES:
            word = values[word_of(node)]
            require(word.state != LIVE or node in seen, f"node {node} is live, and in no chain")
            if word.state == PART:
                self.require_part(node, word, values)
        promised = [pair for result in results for pair in result or ()]
        require(len(set(promised)) == len(promised), f"two have done the same: {promised}")
        for at, word in promised:
            require(values[word_of(at)] == word, f"node {at} should be {word} and is {values[word_of(at)]}")

    def require_part(self, node: int, word: Word, values: Mapping[Any, Any]) -> None:
        owner = word.subject
        require(values[word_of(owner)].state in (CLAIMED, LIVE, REMOVED), f"node {node} is part of a node that is free")
        at = owner
        while values[more_of(at)] is not None and at != node:
            at = values[more_of(at)]
        require(at == node, f"node {node} is part of {owner}, which has it not")

    # Threads: each ends with words that nodes must bear at the end.

    def finishes(self) -> Program:
        yield from self.finish()

    def finishes_and_inserts(self, node: int, key: str) -> Program:
        yield from self.finish()
        inserted = yield from self.insert(node, key)
        return ((node, Word(0, LIVE) if inserted else Word(1, FREE)),)

    def inserts(self, node: int, key: str) -> Program:
        inserted = yield from self.insert(node, key)
        return ((node, Word(0, LIVE) if inserted else Word(1, FREE)),)

    def removes(self, node: int, generation: int = 0) -> Program:
        done = yield from self.remove(node, generation)
        return ((node, Word(generation + 1, FREE)),) if done else None

    def removes_and_inserts(self, me: int, node: int, key: str) -> Program:
        """Remove a node, and use it again for another key."""
        yield from self.remove(node, 0)
        claimed = yield from self.claim(me, node)
        if claimed:
            yield from self.insert(node, key)
            return ((node, Word(1, LIVE)),)
        return None

    def finishes_and_removes_and_claims(self, me: int, node: int) -> Program:
        yield from self.finish()
        yield from self.remove(node, 0)
        claimed = yield from self.claim(me, node)
        return ((node, Word(1, CLAIMED, me)),) if claimed else None

    def finishes_and_uses_again(self, me: int, node: int, key: str) -> Program:
        yield from self.finish()
        claimed = yield from self.claim(me, node)
        if not claimed:
            return None
        yield from self.insert(node, key)
        return ((node, Word(1, LIVE)),)

    def finishes_and_removes_again(self, me: int, node: int, key: str) -> Program:
        """Use a node of a change again, and remove it, but do not announce that."""
        used = yield from self.finishes_and_uses_again(me, node, key)
        if not used:
            return None
        yield cas_acq_rel("nodes_remove:word", word_of(node), Word(1, LIVE), Word(1, REMOVED))
        return ((node, Word(1, REMOVED)),)

    def finds(self, key: str, node: int, generation: int, stays: bool = False) -> Program:
        """Find a key that only this node bears, in this generation."""
        found = yield from self.find(key)
        require(found in (None, (node, generation)), f"{found} was found for {key}")
        require(not stays or found is not None, f"{key} stays, and was not found")

    def reads(self, node: int, key: str, part: int) -> Program:
        """Read the text, and look for a cell, of a node that was found in generation 0."""
        its = yield load_relaxed("copy_text:text", text_of(node))
        yield fence_acquire("")
        again = yield load_relaxed("nodes_text:again", word_of(node))
        require(again != Word(0, LIVE) or its == key, f"{its} is the text of {key}")
        more = yield load_relaxed("", more_of(node))
        yield fence_acquire("")
        again = yield load_relaxed("nodes_cell:again", word_of(node))
        require(again != Word(0, LIVE) or more == part, f"a cell of {key} lies in {more}")

    def scrapes(self, node: int, key: str) -> Program:
        word = yield load_acquire("nodes_next:word", word_of(node))
        if word.state == LIVE:
            its = yield load_relaxed("copy_text:text", text_of(node))
            require(its == key, f"{its} is the text of {key}")

    def frees_and_inserts(self, me: int, node: int, key: str, part: int) -> Program:
        """Of a node that is removed, and in no chain."""
        word = yield load_acquire("unlink_node:word", word_of(node))
        yield cas_acq_rel("nodes_remove:word", word_of(node), word, Word(0, REMOVED))
        yield from self.free_with_parts(node, Word(0, REMOVED))
        claimed = yield from self.claim_with_part(me, node, part)
        if claimed:
            yield from self.fill(node, key)

    def claims_after(self, owner: int, me: int, node: int, part: int) -> Program:
        """Claim what the dead may have claimed."""
        owner_is_dead = yield is_dead(owner)
        if not owner_is_dead:
            return None
        claimed = yield from self.claims_with_part(me, node, part)
        require(claimed is not None, "what the dead had claimed takes room for ever")
        return claimed

    def sweeps_and_claims(self, owner: int, me: int, node: int) -> Program:
        owner_is_dead = yield is_dead(owner)
        if not owner_is_dead:
            return None
        yield from self.sweep(owner, *NODES)
        claimed = yield from self.claim(me, node)
        yield from self.finish()
        return ((node, Word(1, CLAIMED, me)),) if claimed else None

    def claims_with_part(self, me: int, node: int, part: int) -> Program:
        claimed = yield from self.claim_with_part(me, node, part)
        if not claimed:
            return None
        word = yield load_relaxed("", word_of(node))
        its = yield load_relaxed("", word_of(part))
        require((word.state, word.subject) == (CLAIMED, me), f"{me} has claimed a node, which is {word}")
        return (node, word), (part, its)

    def claims(self, me: int, node: int, part: int) -> Program:
        yield from self.claim_with_part(me, node, part)

    def sweeps(self, owner: int) -> Program:
        owner_is_dead = yield is_dead(owner)
        if owner_is_dead:
            yield from self.sweep(owner, *NODES)

    def inserts_mortally(self, node: int, key: str) -> Program:
        yield from self.insert(node, key)

    def inserts_and_sweeps(self, node: int, key: str, owner: int) -> Program:
        inserted = yield from self.insert(node, key)
        owner_is_dead = yield is_dead(owner)
        if not owner_is_dead:
            return None
        yield from self.sweep(owner, *NODES)
        word = yield load_acquire("", word_of(0))
        require(word.state in (LIVE, FREE), f"{word} was swept")
        return (0, word), (node, Word(0, LIVE) if inserted else Word(1, FREE))

    def removes_mortally(self, node: int) -> Program:
        yield from self.remove(node, 0)

    def makes_room(self, me: int, node: int) -> Program:
        word = yield load_acquire("", word_of(node))
        claimed = yield from self.claim(me, node)
        require(claimed or word.state != REMOVED, f"{word} takes room for ever")

    def frees_and_claims(self, me: int, node: int, part: int) -> Program:
        """One frees a node of a change and stands still before that ends; another claims the node."""
        word = yield load_acquire("unlink_node:word", word_of(node))
        yield from self.free_with_parts(node, word)
        claimed = yield from self.claims_with_part(me, node, part)
        return claimed

    def scenario(
        self,
        *programs: Any,
        chain: Sequence[int] = (),
        words: Sequence[Word] = (),
        keys: Sequence[str] = (),
        more: Mapping[int, int] | None = None,
        change: Change = UNCHANGED,
        mortal: Sequence[int] = (),
    ) -> Scenario:
        """A scenario that begins with these nodes, some of them in chain "a"."""
        shared: dict[Any, Any] = {"change": change, ("chain", "a"): Link(0, None), ("chain", "b"): Link(0, None)}
        for node in NODES:
            shared[word_of(node)] = words[node] if node < len(words) else Word(0, FREE)
            shared[text_of(node)] = keys[node] if node < len(keys) else "bz"
            shared[link_of(node)] = Link(0, None)
            shared[more_of(node)] = (more or {}).get(node)
        for before, node in zip((None, *chain), chain, strict=False):
            where = ("chain", "a") if before is None else link_of(before)
            shared[where] = Link(0, node)
        return Scenario(shared, programs, frozenset(mortal), at_rest=self.at_rest)


def scenarios(model: type[UsedNodes] = UsedNodes) -> Mapping[str, Scenario]:
    table = model()
    live, removed = Word(0, LIVE), Word(0, REMOVED)

    def claimed(owner: int) -> Word:
        return Word(0, CLAIMED, owner)

    def part(node: int) -> Word:
        return Word(0, PART, node)

    return {
        "two insert one key": table.scenario(
            lambda: table.inserts(0, "aa"), lambda: table.inserts(1, "aa"), words=(claimed(0), claimed(1))
        ),
        "two insert two keys": table.scenario(
            lambda: table.inserts(0, "aa"), lambda: table.inserts(1, "ab"), words=(claimed(0), claimed(1))
        ),
        "an inserter meets a remover": table.scenario(
            lambda: table.removes(0), lambda: table.inserts(1, "aa"), words=(live, claimed(1)), keys=("aa",), chain=(0,)
        ),
        "two remove": table.scenario(
            lambda: table.removes(0), lambda: table.removes(0), words=(live,), keys=("aa",), chain=(0,)
        ),
        "two finish an insertion": table.scenario(
            table.finishes,
            lambda: table.finishes_and_inserts(1, "ab"),
            words=(claimed(0), claimed(1)),
            keys=("aa", "ab"),
            change=Change(9, LINK, 0),
        ),
        "an insertion is finished late": table.scenario(
            table.finishes,
            lambda: table.finishes_and_removes_and_claims(1, 0),
            words=(claimed(0),),
            keys=("aa",),
            change=Change(9, LINK, 0),
        ),
        "two finish a removal": table.scenario(
            table.finishes,
            table.finishes,
            words=(removed, part(0), part(0)),
            more={0: 1, 1: 2},
            keys=("aa",),
            chain=(0,),
            change=Change(9, UNLINK, 0),
        ),
        "a removal is finished late": table.scenario(
            table.finishes,
            lambda: table.finishes_and_removes_again(1, 0, "aa"),
            words=(removed,),
            keys=("aa",),
            chain=(0,),
            change=Change(9, UNLINK, 0),
        ),
        "a removal is finished when its node is in use": table.scenario(
            table.finishes,
            lambda: table.finishes_and_uses_again(1, 0, "aa"),
            words=(removed,),
            keys=("aa",),
            chain=(0,),
            change=Change(9, UNLINK, 0),
        ),
        "a removal meets a claim": table.scenario(
            table.finishes,
            lambda: table.frees_and_claims(1, 0, 1),
            words=(removed, part(0)),
            more={0: 1},
            keys=("aa",),
            change=Change(9, UNLINK, 0),
        ),
        "a removal is announced late": table.scenario(
            lambda: table.finishes_and_inserts(1, "ab"),
            lambda: table.removes(0),
            words=(live, claimed(0)),
            keys=("aa",),
            chain=(0,),
            change=Change(9, REMOVE, 0),
        ),
        "a finder meets a new node": table.scenario(
            lambda: table.inserts(1, "ab"),
            lambda: table.finds("aa", 0, 0, stays=True),
            words=(live, claimed(0)),
            keys=("aa",),
            chain=(0,),
        ),
        "a scrape meets a new node": table.scenario(
            lambda: table.inserts(1, "ab"), lambda: table.scrapes(1, "ab"), words=(removed, claimed(0)), keys=("aa",)
        ),
        "a reader meets a node that is used again": table.scenario(
            lambda: table.frees_and_inserts(0, 0, "bb", 2),
            lambda: table.reads(0, "aa", 1),
            words=(live, part(0)),
            keys=("aa",),
            more={0: 1},
        ),
        "a finder meets a node that is used again": table.scenario(
            lambda: table.removes_and_inserts(0, 0, "bb"),
            lambda: table.finds("ab", 1, 0, stays=True),
            words=(live, live),
            keys=("aa", "ab"),
            chain=(0, 1),
        ),
        "a finder meets a key that replaces another": table.scenario(
            lambda: table.removes_and_inserts(0, 0, "ab"),
            lambda: table.finds("ab", 0, 1),
            words=(live,),
            keys=("aa",),
            chain=(0,),
        ),
        "a finder meets a key that was replaced": table.scenario(
            lambda: table.removes_and_inserts(0, 0, "ab"),
            lambda: table.finds("aa", 0, 0),
            words=(live,),
            keys=("aa",),
            chain=(0,),
        ),
        "a claimer dies": table.scenario(
            lambda: table.claims(0, 0, 1),
            lambda: table.claims_after(0, 1, 0, 1),
            lambda: table.sweeps(0),
            mortal=(0,),
        ),
        "an inserter dies": table.scenario(
            lambda: table.inserts_mortally(0, "aa"),
            lambda: table.inserts_and_sweeps(1, "aa", 0),
            words=(claimed(0), claimed(1)),
            mortal=(0,),
        ),
        "an announcer dies": table.scenario(
            lambda: table.inserts_mortally(0, "aa"),
            lambda: table.sweeps_and_claims(0, 1, 0),
            words=(claimed(0),),
            mortal=(0,),
        ),
        "a remover dies": table.scenario(
            lambda: table.removes_mortally(0),
            lambda: table.makes_room(1, 0),
            words=(live,),
            keys=("aa",),
            chain=(0,),
            mortal=(0,),
        ),
    }
