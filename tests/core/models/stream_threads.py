"""Threads that use streams, in the scenarios of stream_scenarios.py."""

from tests.core.models.stream_checks import CheckedStreams
from tests.core.models.stream_users import Append, Done
from tests.core.models.streams import APPEND, CLOSED, EVENT, NO_SLOT, TAKE, Change, deleted_of, truncated_of
from tests.core.operations import Program, cas_acq_rel, is_dead, load_relaxed, require

NOTHING = Done()


class UsedStreams(CheckedStreams):
    """The protocol, and the threads that use it."""

    def knows(self, done: Done) -> Program:
        """The thread whose change is announced when the scenario begins; others finish it."""
        yield from ()
        return done

    def finishes(self) -> Program:
        yield from self.tidy()
        return Done()

    def appends(self, *wanted: Append, done: Done = NOTHING) -> Program:
        """One after another; of what the first replace the slots are used by those that follow."""
        yield from ()
        for each in wanted:
            more = yield from self.append(each)
            spares = tuple([slot for slot in done.spares if slot not in each.slots])
            events, appended = (*done.events, *more.events), done.appended + more.appended
            done = Done(events, (*spares, *more.spares), appended, more.deleted, refused=more.refused)
        return done

    def finishes_and_appends(self, mine: Done, *others: Append) -> Program:
        """Finish a change of its own, and append with the slots that were replaced."""
        yield from self.tidy()
        done = yield from self.appends(*others, done=mine)
        return done

    def finishes_and_writes(self, mine: Done, a: Append, b: Append) -> Program:
        """Finish a change of its own, append, and stop before the next append is announced."""
        done = yield from self.finishes_and_appends(mine, a)
        yield from self.writes(b)
        return done

    def writes(self, a: Append) -> Program:
        """All of an append that comes before it is announced."""
        yield from self.fill(a, 0)
        moment = yield from self.tidy()
        decision = yield from self.decide(a, moment)
        yield from self.write(a, decision, moment.tail)

    def finishes_and_announces(self, slot: int, done: Done) -> Program:
        """Finish a change, announce the next, and leave that to others."""
        moment = yield from self.tidy()
        change = Change(moment.tail + 1, APPEND, slot)
        announced, _ = yield cas_acq_rel("log_announce:change", "change", moment.change, change)
        require(announced, f"{change} was not announced")
        return done

    def finishes_and_takes_and_appends(self, mine: Done, *others: Append) -> Program:
        """Let a ticket pass between."""
        moment = yield from self.tidy()
        yield from self.announce(moment, TAKE, NO_SLOT, 1)
        done = yield from self.appends(*others, done=mine)
        return done

    def finishes_and_claims(self, me: int, slot: int) -> Program:
        yield from self.tidy()
        claimed = yield from self.claim(me, slot)
        return Done(spares=(slot,) if claimed else ())

    def finishes_and_claims_and_appends(self, a: Append, done: Done = NOTHING) -> Program:
        """Finish a change, claim what it has freed, and append; none of it where another claims that."""
        yield from self.tidy()
        for slot in a.slots:
            claimed = yield from self.claim(a.me, slot)
            if not claimed:
                return done
        done = yield from self.appends(a, done=done)
        return done

    def claims(self, me: int) -> Program:
        """Claim what is free, or else what is taken."""
        for slot in range(self.slots):
            claimed = yield from self.claim(me, slot)
            if claimed:
                return Done(spares=(slot,))
        taken = yield from self.take(me)
        return Done(spares=() if taken is None else (taken,))

    def looks_for(self, a: Append) -> Program:
        """The beginning of an append whose id may be known."""
        moment = yield from self.tidy()
        decision = yield from self.decide(a, moment)
        return Done(self.found(a, decision)) if decision and decision.refused else Done()

    def appends_before_the_end(self, a: Append) -> Program:
        """Append to what another deletes for ever; returns that it was appended before."""
        deleted = yield load_relaxed("", deleted_of(a.stream))
        done = yield from self.append(a)
        require(deleted != CLOSED or done.refused == "deleted", f"{done} was appended to what is deleted for ever")
        return done

    def appends_if_new(self, a: Append) -> Program:
        """Append where there is no stream; it has been deleted then."""
        done = yield from self.append(a)
        deleted = yield load_relaxed("", deleted_of(a.stream))
        require(done.refused or done.events[0][1] < deleted, f"{done} was appended, and {deleted} deleted")
        return done

    def sweeps(self, owner: int) -> Program:
        """Free what the dead had claimed. Returns whether that was so."""
        owner_is_dead = yield is_dead(owner)
        if owner_is_dead:
            yield from self.sweep(owner)
        return owner_is_dead

    def frees(self, owner: int) -> Program:
        swept = yield from self.sweeps(owner)
        return Done(swept=owner if swept else None)

    def appends_and_sweeps(self, a: Append, owner: int) -> Program:
        done = yield from self.append(a)
        swept = yield from self.sweeps(owner)
        return done._replace(swept=owner if swept else None)

    def sweeps_and_claims(self, me: int, owner: int, slot: int) -> Program:
        swept = yield from self.sweeps(owner)
        if not swept:
            return Done()
        claimed = yield from self.claim(me, slot)
        return Done(spares=(slot,) if claimed else (), swept=owner)

    def reads(self, version: int, stream: int = 0) -> Program:
        """Find a version, and read it."""
        slot = yield from self.find_version(stream, version)
        if isinstance(slot, str):
            return Done()
        data = yield from self.read_version(stream, version, slot)
        return Done(((stream, version, data),) if data != "lost" else ())

    def follows(self, version: int) -> Program:
        """Read what has come, if it has."""
        has_come = yield from self.has_versions(0, version)
        done = yield from self.reads(version)
        require(done.events or not has_come, f"version {version} has come, and is not there")
        return done

    def counts(self, versions: tuple[int, ...]) -> Program:
        """A batch is appended all or none."""
        newest = yield from self.start(0)
        require(newest.versions in versions, f"{newest} are there of a batch")
        return Done()

    def reads_ticket(self, *tickets: int) -> Program:
        events: tuple[tuple[int, int, str], ...] = ()
        lapped: tuple[int, ...] = ()
        for ticket in tickets:
            found = yield from self.read_ticket(ticket)
            if not isinstance(found, str):
                text, facts = found
                require(facts.position == ticket, f"{facts} was read by ticket {ticket}")
                events += ((text.stream, facts.version, text.data),) if text.kind == EVENT else ()
            lapped += (ticket,) if found == "lapped" else ()
        return Done(events, lapped=lapped)

    def reads_state(self, could_not_be_read: tuple[int, ...]) -> Program:
        (below, expired), versions = yield from self.state(0)
        require(below <= versions, f"{below} of {versions} versions are lost")
        require(expired in could_not_be_read and expired <= below, f"{expired} of {below} could not be read")
        return Done()

    def truncates(self, to: int) -> Program:
        yield from self.truncate(0, to)
        truncated = yield load_relaxed("", truncated_of(0))
        require(truncated >= to, f"{to} versions were given up, and {truncated} are")
        return Done()
