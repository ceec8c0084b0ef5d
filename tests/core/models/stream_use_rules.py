"""The rules of those that use the log of streams.py: discarding, claiming, deciding and reading."""

from collections.abc import Mapping

from tests.core.models.stream_threads import UsedStreams
from tests.core.models.stream_users import Append, Decision
from tests.core.models.streams import (
    CLAIMED,
    EVENT,
    FREE,
    NO_SLOT,
    NOBODY,
    PUBLISHED,
    TAKE,
    Change,
    Lost,
    Moment,
    Newest,
    Word,
    deleted_of,
    facts_of,
    lost_of,
    newest_of,
    next_of,
    published,
    text_of,
    truncated_of,
    word_of,
)
from tests.core.operations import (
    Program,
    cas_acq_rel,
    fence_acquire,
    load_acquire,
    load_relaxed,
    store_relaxed,
)


class DiscardsWithoutASecondLook(UsedStreams):
    """What is read of an event is proved by a second look at its word: its next owner may have written it."""

    def is_same(self, slot: int, word: Word) -> Program:
        yield from ()
        return True


class GivesTheSlotFirst(UsedStreams):
    """A loss is told before the word changes: whoever finds it changed does no more."""

    def discard(self, slot: int, ticket: int, owner: int) -> Program:
        word = yield load_acquire("tell:word", word_of(slot))
        if word != published(ticket):
            return
        text = yield from self.load(load_relaxed("", text_of(slot)))
        facts = yield from self.load(load_relaxed("", facts_of(slot)))
        yield from self.give_slot(slot, word, owner)
        if text.kind == EVENT:
            yield from self.tell_loss(text.stream, facts.version)


class FreesWhatIsReplaced(UsedStreams):
    """What an append of one event discards becomes its appender's."""

    def give_slot(self, slot: int, word: Word, owner: int) -> Program:
        yield from super().give_slot(slot, word, NOBODY)


class HoldsWhatABatchReplaces(UsedStreams):
    """What a batch discards is free: nobody holds more slots than one."""

    def append_one(self, change: Change, ticket: int, slot: int, is_alone: bool) -> Program:
        done = yield from super().append_one(change, ticket, slot, True)
        return done


class TellsTheLastOfAny(UsedStreams):
    """The last loss of a batch is told first while what gives way has its slot still."""

    def tell_last(self, ticket: int) -> Program:
        seen = yield from self.load(load_relaxed("", self.order_of(ticket)))
        text = yield from self.load(load_relaxed("", text_of(seen.slot)))
        facts = yield from self.load(load_relaxed("", facts_of(seen.slot)))
        yield from self.tell_loss(text.stream, facts.version)


class TellsTheLastAlone(UsedStreams):
    """Each loss of a batch is told before its slot is given up: the last may be of another stream."""

    def finish_append(self, change: Change, tail: int, count: int) -> Program:
        self.is_batch = count > 1
        done = yield from super().finish_append(change, tail, count)
        return done

    def discard(self, slot: int, ticket: int, owner: int) -> Program:
        if not self.is_batch:
            yield from super().discard(slot, ticket, owner)
        else:
            yield from self.give_slot(slot, published(ticket), owner)


class TellsNoLoss(UsedStreams):
    """What is discarded is told as lost."""

    def tell_loss(self, stream: int, version: int) -> Program:
        yield from ()


class TellsLossTwice(UsedStreams):
    """What is told as lost is not told again: it would be counted twice."""

    def tell_loss(self, stream: int, version: int) -> Program:
        told = False
        while not told:
            lost = yield load_acquire("tell_loss:lost", lost_of(stream))
            kept = yield from self.first_kept(stream, 0)
            after = Lost(max(lost.below, version + 1), lost.expired + (version < kept))
            told, _ = yield cas_acq_rel("tell_loss:tell", lost_of(stream), lost, after)


class CountsApart(UsedStreams):
    """The loss, and how many of it could not be read, are told in one swap."""

    def count_and_tell(self, stream: int, version: int, lost: int) -> Program:
        now = yield load_acquire("", lost_of(stream))
        kept = yield from self.first_kept(stream, 0)
        gone = max(min(kept, version + 1) - lost, 0)
        counted = Lost(now.below, now.expired + gone)
        done, _ = yield cas_acq_rel("tell_loss:tell", lost_of(stream), now, counted)
        if not done:
            return False
        told, _ = yield cas_acq_rel("tell_loss:tell", lost_of(stream), counted, counted._replace(below=version + 1))
        return told


class ClaimsByStore(UsedStreams):
    """A slot is claimed by compare-exchange: another may be faster."""

    def claim(self, me: int, slot: int) -> Program:
        word = yield load_relaxed("", word_of(slot))
        if word.state == FREE:
            yield store_relaxed("claim:word", word_of(slot), Word(word.ticket, me, CLAIMED))
        return word.state == FREE


class ClaimsWhatIsTaken(UsedStreams):
    """What a take frees is free for all: whoever took it claims it."""

    def take(self, me: int) -> Program:
        moment = yield from self.tidy()
        seen = yield from self.load(load_relaxed("", self.order_of(moment.tail)))
        announced = yield from self.announce(moment, TAKE, NO_SLOT, 1)
        return seen.slot if announced and seen.slot != NO_SLOT else None


class TakesWhatIsReserved(UsedStreams):
    """What is in reserve is kept, not taken."""

    def is_reserved(self, slot: int) -> Program:
        yield from ()
        return False


class SweepsBeforeItFinishes(UsedStreams):
    """What is announced is finished before the claims of the dead are freed: they may be of it."""

    def sweep(self, owner: int) -> Program:
        for slot in range(self.slots):
            yield from self.free_slot(slot, owner)


class SweepsTheLiving(UsedStreams):
    """Only the claims of the dead are freed."""

    def free_slot(self, slot: int, owner: int) -> Program:
        word = yield load_relaxed("", word_of(slot))
        if word.state == CLAIMED:
            yield cas_acq_rel("free_slot:word", word_of(slot), word, Word(word.ticket, NOBODY, FREE))


class FreesByStore(UsedStreams):
    """A claim is freed by compare-exchange: it may be another's by then."""

    def free_slot(self, slot: int, owner: int) -> Program:
        word = yield load_relaxed("", word_of(slot))
        if word.state == CLAIMED and word.owner == owner:
            yield store_relaxed("free_slot:word", word_of(slot), Word(word.ticket, NOBODY, FREE))


class IgnoresIds(UsedStreams):
    """An id that is there is not appended again."""

    def find_id(self, tail: int, stream: int, name: str | None) -> Program:
        yield from ()
        return None


class ExpectsNothing(UsedStreams):
    """An append is made under its condition."""

    def refusal(self, a: Append, decision: Decision, deleted: int) -> str:
        return super().refusal(a._replace(expected=-1), decision, deleted)


class AppendsToWhatIsDeleted(UsedStreams):
    """What is deleted for ever is not appended to."""

    def refusal(self, a: Append, decision: Decision, deleted: int) -> str:
        return super().refusal(a, decision, 0)


class RefusesWithoutLooking(UsedStreams):
    """Whoever refuses looks again whether what it knows is of one moment."""

    def decide(self, a: Append, moment: Moment) -> Program:
        versions = yield from self.first_half(load_relaxed("", newest_of(a.stream)))
        before = yield from self.second_half(load_relaxed("", newest_of(a.stream)))
        deleted = yield from self.load(load_relaxed("", deleted_of(a.stream)))
        decision = yield from self.look_up(a, moment.tail, Newest(versions, before))
        return decision._replace(refused=self.refusal(a, decision, deleted))


class CountsKnownEvents(UsedStreams):
    """Of a batch only those events get versions that are not there yet."""

    def look_up(self, a: Append, tail: int, newest: Newest) -> Program:
        versions: tuple[int, ...] = ()
        new = 0
        for i in range(len(a.wishes)):
            version = None
            if a.wishes[i].id is not None:
                version = yield from self.find_id(tail, a.stream, a.wishes[i].id)
            versions += (newest.versions + i if version is None else version,)
            new += version is None
        return Decision(newest, versions, new)


class FollowsAnyLink(UsedStreams):
    """A chain leads from newer tickets to older ones, and to slots that have the ticket of the link."""

    def find_id(self, tail: int, stream: int, name: str | None) -> Program:
        link = yield from self.load(load_acquire("chains_find:first", "chain"))
        while link is not None:
            text = yield from self.load(load_relaxed("", text_of(link.slot)))
            if text.id == name and text.stream == stream:
                facts = yield from self.load(load_relaxed("", facts_of(link.slot)))
                return facts.version
            link = yield from self.load(load_relaxed("", next_of(link.slot)))
        return None


class ReadsWithoutASecondLook(UsedStreams):
    """Whoever copied an event looks again whether it is the same."""

    def read_slot(self, slot: int) -> Program:
        word = yield load_acquire("slots_read:word", word_of(slot))
        if word.state != PUBLISHED:
            return None
        facts = yield from self.load(load_relaxed("", facts_of(slot)))
        text = yield from self.load(load_relaxed("slots_read:text", text_of(slot)))
        return word, text, facts


class FollowsWithoutASecondLook(UsedStreams):
    """Whoever follows a link of an event looks again whether it is the same."""

    def read_leads(self, stream: int, version: int, slot: int | None) -> Program:
        word = yield load_acquire("read_leads:word", word_of(slot))
        if word.state != PUBLISHED:
            return None
        text = yield from self.load(load_relaxed("", text_of(slot)))
        facts = yield from self.load(load_relaxed("", facts_of(slot)))
        is_it = (text.stream, text.kind, facts.version) == (stream, EVENT, version)
        return facts if is_it else None


class LosesWhatIsKept(UsedStreams):
    """An event that is kept while it is read is read again."""

    def read_leads(self, stream: int, version: int, slot: int | None) -> Program:
        word = yield load_acquire("read_leads:word", word_of(slot))
        if word.state != PUBLISHED:
            return None
        text = yield from self.load(load_relaxed("", text_of(slot)))
        facts = yield from self.load(load_relaxed("", facts_of(slot)))
        yield fence_acquire("read_leads:fence")
        again = yield load_relaxed("read_leads:again", word_of(slot))
        is_it = (text.stream, text.kind, facts.version) == (stream, EVENT, version)
        return facts if is_it and again == word else None


class StartsAnywhere(UsedStreams):
    """The number of versions and the slot of the newest are of one moment."""

    def start(self, stream: int) -> Program:
        versions = yield from self.first_half(load_acquire("seek_start:versions", newest_of(stream)))
        slot = yield from self.second_half(load_acquire("seek_start:slot", newest_of(stream)))
        return Newest(versions, slot)


class ReadsAnyVersion(UsedStreams):
    """An event is read by its version: its slot may be another's by then."""

    def read_version(self, stream: int, version: int, slot: int) -> Program:
        whole = yield from self.read_slot(slot)
        return whole[1].data if whole else "lost"


class ReadsAnyTicket(UsedStreams):
    """An event is read by its ticket: its slot may have another by then."""

    def read_ticket(self, ticket: int) -> Program:
        link = yield load_acquire("streams_read_ticket:order", self.order_of(ticket))
        whole = yield from self.read_slot(link.slot)
        return whole[1:] if whole else "lapped"


class TellsOfKeptEvents(UsedStreams):
    """A kept event was told of at its own ticket."""

    def read_ticket(self, ticket: int) -> Program:
        found = yield from super().read_ticket(ticket)
        if found != "kept":
            return found
        whole = yield from self.read_slot(0)
        return whole[1:] if whole else "lapped"


class LooksOnceAtTheLoss(UsedStreams):
    """What is lost, and how much of it could not be read, are of one moment."""

    def look_at_lost(self, stream: int) -> Program:
        below = yield from self.first_half(load_acquire("streams_state:lost", lost_of(stream)))
        expired = yield from self.second_half(load_acquire("streams_state:expired", lost_of(stream)))
        return below, expired


class TruncatesByStore(UsedStreams):
    """What was given up stays so."""

    def truncate(self, stream: int, to: int) -> Program:
        seen = yield load_relaxed("", truncated_of(stream))
        if seen < to:
            yield store_relaxed("streams_truncate:raise", truncated_of(stream), to)


BROKEN_USES: Mapping[type[UsedStreams], str] = {
    DiscardsWithoutASecondLook: "an append is finished late",
    GivesTheSlotFirst: "two finish an append",
    FreesWhatIsReplaced: "two finish an append",
    HoldsWhatABatchReplaces: "two finish a batch",
    TellsTheLastOfAny: "a batch is finished late",
    TellsTheLastAlone: "a batch overwrites two streams",
    TellsNoLoss: "two finish an append",
    TellsLossTwice: "a truncation meets an append",
    CountsApart: "the state is read",
    ClaimsByStore: "two claim",
    ClaimsWhatIsTaken: "a free slot is claimed and used",
    TakesWhatIsReserved: "a reserve is not taken",
    SweepsBeforeItFinishes: "what the dead had claimed is claimed",
    SweepsTheLiving: "an append is made again after death",
    FreesByStore: "what the dead had claimed is claimed",
    IgnoresIds: "two append one id",
    ExpectsNothing: "two append under one condition",
    AppendsToWhatIsDeleted: "an append meets the last deletion",
    RefusesWithoutLooking: "an id is looked for late",
    CountsKnownEvents: "a batch meets one of its ids",
    FollowsAnyLink: "a take is finished late",
    ReadsWithoutASecondLook: "a reader meets a slot that is used again",
    FollowsWithoutASecondLook: "a reader meets a slot that is used again",
    LosesWhatIsKept: "a kept event is read",
    StartsAnywhere: "a reader goes back",
    ReadsAnyVersion: "a reader meets a slot that is used again",
    ReadsAnyTicket: "a ticket is read",
    TellsOfKeptEvents: "a kept event is read",
    LooksOnceAtTheLoss: "the state is read",
    TruncatesByStore: "two truncate",
}
