"""The rules of the node table of nodes.py, and what shows that each is needed."""

from tests.core.models.node_scenarios import UsedNodes, scenarios
from tests.core.models.nodes import (
    CHANGED,
    CLAIMED,
    FREE,
    IDLE,
    INSERT,
    LINK,
    LIVE,
    NODES,
    PART,
    REMOVE,
    REMOVED,
    UNLINK,
    Change,
    Link,
    Word,
    chain_of,
    link_of,
    more_of,
    text_of,
    word_of,
)
from tests.core.operations import (
    Program,
    cas_release,
    fence_acquire,
    load_acquire,
    load_relaxed,
    store_relaxed,
)

__all__ = ["BROKEN", "SUPERFLUOUS", "WEAKER", "scenarios"]

# One rule broken each; the docstring is the rule.


class ClaimsWhatItSaw(UsedNodes):
    """A node is claimed by compare-exchange: another may be faster."""

    def claim(self, me: int, node: int) -> Program:
        word = yield load_relaxed("", word_of(node))
        if word.state != FREE:
            return False
        yield store_relaxed("claim:node", word_of(node), Word(word.generation, CLAIMED, me))
        return True


class KeepsTheGeneration(UsedNodes):
    """The generation of a node rises when it is freed."""

    def free_node(self, node: int, word: Word) -> Program:
        yield cas_release("free_node:node", word_of(node), word, Word(word.generation, FREE))


class SweepsTheLiving(UsedNodes):
    """Only what the dead had claimed is freed, never what the slow have."""

    def sweeps(self, owner: int) -> Program:
        yield from self.sweep(owner, *NODES)


class LeavesClaimsOfTheDead(UsedNodes):
    """Whoever looks for room frees what the dead had claimed."""

    def clean(self, node: int, word: Word) -> Program:
        if word.state == REMOVED:
            yield from self.announce(REMOVE, node)


class SweepsWithoutFinishing(UsedNodes):
    """A change that the dead had announced is finished before what they had claimed is freed."""

    def sweep_node(self, node: int, word: Word) -> Program:
        yield from self.free_with_parts(node, word)


class LinksPartsLate(UsedNodes):
    """A part can be reached before it is one: nobody finds it otherwise when its owner dies."""

    def add_part(self, node: int, part: int) -> Program:
        word = yield load_relaxed("", word_of(part))
        yield store_relaxed("", more_of(part), None)
        yield cas_release("changes_claim:part", word_of(part), word, Word(word.generation, PART, node))
        yield store_relaxed("", more_of(node), part)


class FreesPartsFromTheFirst(UsedNodes):
    """Parts are freed from the last to the first: behind one that is free nobody looks."""

    def last_part(self, node: int) -> Program:
        at = yield load_relaxed("", more_of(node))
        if at is None:
            return None
        word = yield load_acquire("last_part:word", word_of(at))
        return (at, word) if word.state == PART and word.subject == node else None


class FreesTheNodeFirst(UsedNodes):
    """A node is freed after its parts."""

    def free_with_parts(self, node: int, word: Word) -> Program:
        yield from self.free_node(node, word)
        yield from super().free_with_parts(node, word)


class FreesPartsOfALaterNode(UsedNodes):
    """A part is freed while its node still is what it was: both may have been used again."""

    def free_with_parts(self, node: int, word: Word) -> Program:
        last = yield from self.last_part(node)
        while last is not None:
            part, its = last
            yield from self.free_node(part, its)
            last = yield from self.last_part(node)
        yield from self.free_node(node, word)


class ChangesWithoutAnnouncing(UsedNodes):
    """One change at a time: another is not begun before the one that is announced is done."""

    def announce(self, what: str, node: int) -> Program:
        change = yield load_acquire("finish:change", "change")
        yield from self.make(Change(change.number + 1, what, node))
        yield from self.make(Change(change.number + 1, LINK if what == INSERT else UNLINK, node))


class WaitsForTheAnnouncer(UsedNodes):
    """Whoever finds a change announced finishes it."""

    def finish(self) -> Program:
        change = yield load_acquire("finish:change", "change")
        return change


class StepsWithoutLooking(UsedNodes):
    """Before each step the change is seen to be still announced: what was read may be of a later time."""

    def is_still(self, change: Change) -> Program:
        yield from ()
        return True


class LooksBeforeItReads(UsedNodes):
    """That is looked at after the values were read from which the steps are made."""

    def link_node(self, change: Change, node: int) -> Program:
        is_still = yield from self.is_still(change)
        if not is_still:
            return
        word = yield load_acquire("link_node:word", word_of(node))
        key = yield load_relaxed("", text_of(node))
        first = yield load_acquire("link_node:first", chain_of(key))
        link = yield load_acquire("link_node:next", link_of(node))
        if word.state == CLAIMED:
            if first.node != node:
                yield cas_release("link_node:link", link_of(node), link, Link(change.number, first.node))
                yield cas_release("link_node:chain", chain_of(key), first, Link(change.number, node))
            yield cas_release("link_node:live", word_of(node), word, Word(word.generation, LIVE))
        yield from self.go_on(change, IDLE)


class NumbersNoLinks(UsedNodes):
    """Links bear the number of the change that wrote them, and are never the same twice."""

    def make(self, change: Change) -> Program:
        yield from super().make(change._replace(number=0))

    def go_on(self, change: Change, what: str) -> Program:
        now = yield load_relaxed("", "change")
        yield from super().go_on(change._replace(number=now.number), what)

    def is_still(self, change: Change) -> Program:
        now = yield load_relaxed("", "change")
        return now[1:] == change[1:]


class InsertsWithoutLooking(UsedNodes):
    """Before a node is linked the chain is searched for its key, in the same change."""

    def decide_insertion(self, change: Change, node: int) -> Program:
        yield from self.go_on(change, LINK)


class DecidesForItself(UsedNodes):
    """One answer to whether the key is there counts for all, the first."""

    def decide_insertion(self, change: Change, node: int) -> Program:
        key = yield load_relaxed("", text_of(node))
        at = yield load_acquire("", chain_of(key))
        while at.node is not None:
            word = yield load_acquire("", word_of(at.node))
            its = yield load_relaxed("", text_of(at.node))
            if word.state == LIVE and its == key:
                yield from self.go_on(change, IDLE)
                return
            at = yield load_acquire("", link_of(at.node))
        yield from self.link_node(change, node)


class LivesBeforeItIsLinked(UsedNodes):
    """A node is LIVE after it is in its chain."""

    def link_node(self, change: Change, node: int) -> Program:
        word = yield load_acquire("link_node:word", word_of(node))
        if word.state == CLAIMED:
            yield cas_release("link_node:live", word_of(node), word, Word(word.generation, LIVE))
        yield from super().link_node(change, node)


class LinksBeforeTheNext(UsedNodes):
    """A node leads to the rest of its chain before it is the first of it."""

    def link_node(self, change: Change, node: int) -> Program:
        word = yield load_acquire("link_node:word", word_of(node))
        key = yield load_relaxed("", text_of(node))
        first = yield load_acquire("link_node:first", chain_of(key))
        link = yield load_acquire("link_node:next", link_of(node))
        is_still = yield from self.is_still(change)
        if is_still and word.state == CLAIMED and first.node != node:
            yield cas_release("link_node:chain", chain_of(key), first, Link(change.number, node))
            yield cas_release("link_node:link", link_of(node), link, Link(change.number, first.node))
        yield from super().link_node(change, node)


class RemovesWhatIsUsedAgain(UsedNodes):
    """One answer to whether a node is removed counts for all, the first: it may be removed again meanwhile."""

    def decide_removal(self, change: Change, node: int) -> Program:
        yield from self.unlink_node(change, node)


class FreesBeforeItIsUnlinked(UsedNodes):
    """A removed node is freed when it is out of its chain."""

    def unlink_node(self, change: Change, node: int) -> Program:
        word = yield load_acquire("unlink_node:word", word_of(node))
        if word.state == REMOVED:
            yield from self.free_with_parts(node, word)
        yield from super().unlink_node(change, node)


class LeavesRemovedNodes(UsedNodes):
    """Whoever looks for room takes out what is removed: its remover may have died."""

    def clean(self, node: int, word: Word) -> Program:
        yield from ()


class RemovesByStore(UsedNodes):
    """The compare-exchange from LIVE removes a node, so that one of two removers has done it."""

    def remove(self, node: int, generation: int) -> Program:
        yield store_relaxed("nodes_remove:word", word_of(node), Word(generation, REMOVED))
        yield from self.announce(REMOVE, node)
        return True


class FindsWithoutASecondLook(UsedNodes):
    """Whoever looks at a node looks again whether it is still the same."""

    def follow_chain(self, key: str) -> Program:
        link = yield load_acquire("nodes_find:first", chain_of(key))
        while link.node is not None:
            at = link.node
            word = yield load_acquire("nodes_find:word", word_of(at))
            link = yield load_acquire("nodes_find:next", link_of(at))
            its = yield load_relaxed("copy_text:text", text_of(at))
            if word.state == LIVE and its == key:
                return at, word.generation
        return None


class FollowsForeignChains(UsedNodes):
    """Whoever is led into another chain begins anew."""

    def follow_chain(self, key: str) -> Program:
        link = yield load_acquire("nodes_find:first", chain_of(key))
        while link.node is not None:
            at = link.node
            word = yield load_acquire("nodes_find:word", word_of(at))
            link = yield load_acquire("nodes_find:next", link_of(at))
            its = yield load_relaxed("copy_text:text", text_of(at))
            yield fence_acquire("")
            again = yield load_relaxed("nodes_find:again", word_of(at))
            if again != word:
                return CHANGED
            if word.state == LIVE and its == key:
                return at, word.generation
        return None


BROKEN = {
    ClaimsWhatItSaw: "an insertion is finished late",
    KeepsTheGeneration: "two insert one key",
    SweepsTheLiving: "a claimer dies",
    LeavesClaimsOfTheDead: "a claimer dies",
    SweepsWithoutFinishing: "an announcer dies",
    LinksPartsLate: "a claimer dies",
    FreesPartsFromTheFirst: "two finish a removal",
    FreesTheNodeFirst: "two finish a removal",
    FreesPartsOfALaterNode: "a removal meets a claim",
    ChangesWithoutAnnouncing: "an inserter meets a remover",
    WaitsForTheAnnouncer: "a remover dies",
    StepsWithoutLooking: "two insert two keys",
    LooksBeforeItReads: "two insert two keys",
    NumbersNoLinks: "an insertion is finished late",
    InsertsWithoutLooking: "two insert one key",
    DecidesForItself: "an inserter meets a remover",
    LivesBeforeItIsLinked: "two insert one key",
    LinksBeforeTheNext: "a finder meets a new node",
    RemovesWhatIsUsedAgain: "a removal is announced late",
    FreesBeforeItIsUnlinked: "an inserter meets a remover",
    LeavesRemovedNodes: "a remover dies",
    RemovesByStore: "two remove",
    FindsWithoutASecondLook: "a finder meets a node that is used again",
    FollowsForeignChains: "a finder meets a node that is used again",
}
WEAKER = {
    "announce:change release": "two insert one key",
    "go_on:change release": "two finish an insertion",
    "finish:change acquire": "two finish an insertion",
    "claim:node acquire": "a claimer dies",
    "free_node:node release": "a claimer dies",
    "claim:fence release": "a finder meets a key that replaces another",
    "changes_claim:part release, claim:fence release, claim:node release": "a removal meets a claim",
    "last_part:word acquire": "a removal meets a claim",
    "link_node:word acquire": "an insertion is finished late",
    "link_node:first acquire": "an insertion is finished late",
    "link_node:next acquire": "an inserter meets a remover",
    "link_node:link release": "a finder meets a node that is used again",
    "link_node:chain release": "two finish an insertion",
    "link_node:live release": "a scrape meets a new node",
    "unlink_node:word acquire": "a removal is finished late",
    "unlink_node:place acquire": "a removal is finished when its node is in use",
    "unlink_node:link release": "an insertion is finished late",
    "nodes_find:first acquire": "a finder meets a new node",
    "nodes_find:next acquire": "a finder meets a node that is used again",
    "nodes_find:word acquire": "a finder meets a key that was replaced",
    "nodes_next:word acquire": "a scrape meets a new node",
}
SUPERFLUOUS = {
    "announce:change acquire": "finish:change has acquired what is replaced",
    "go_on:change acquire": "finish:change has acquired what is replaced",
    "nodes_remove:word acquire": "whoever removes a node has found it",
    "nodes_remove:word release": "the removal is announced afterwards, by whoever sees the word",
}
