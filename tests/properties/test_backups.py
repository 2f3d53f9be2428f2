"""A town's backups under random mishaps in R2: what a survey proves (product.md 1.6, 1.7).

The bucket knows what is true; the judgement sees only a survey, and what we had verified.
"""

from datetime import datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.factories import NOW
from towns.backup_policy import BackupFacts, judge_backups
from towns.services.r2_types import Survey, Verification

STALE = timedelta(minutes=15)
minutes = st.integers(1, 30).map(lambda n: timedelta(minutes=n))


def name_of(moment: datetime) -> str:
    return f"{moment:%Y%m%dT%H%M%SZ}"


class Bucket(RuleBasedStateMachine):
    """The snapshots below one prefix, and what we remember of them."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.whole: dict[str, bool] = {}
        """Every snapshot that is there, and whether all of its files are."""
        self.made: dict[str, datetime] = {}
        self.pointer: str | None = None
        self.garbled = False
        self.running, self.awake_since = True, NOW
        self.recorded = ""
        self.verified: set[str] = set()
        self.backup_at: datetime | None = None

    @rule(time=minutes)
    def time_passes(self, time: timedelta) -> None:
        self.now += time

    @rule(whole=st.booleans(), moves=st.booleans(), time=minutes)
    def it_backs_up(self, whole: bool, moves: bool, time: timedelta) -> None:
        """Without `moves` the shrink guard, or a newer machine, keeps the pointer where it is."""
        self.now += time
        name = name_of(self.now)
        self.whole[name], self.made[name] = whole, self.now
        if moves:
            self.pointer, self.garbled = name, False

    @precondition(lambda self: self.whole)
    @rule(data=st.data())
    def a_file_is_lost(self, data: st.DataObject) -> None:
        self.whole[data.draw(st.sampled_from(sorted(self.whole)), label="snapshot")] = False

    @precondition(lambda self: self.whole)
    @rule(data=st.data())
    def a_snapshot_is_gone(self, data: st.DataObject) -> None:
        del self.whole[data.draw(st.sampled_from(sorted(self.whole)), label="snapshot")]

    @rule(times=st.integers(1, 3))
    def all_is_well_for_a_while(self, times: int) -> None:
        for _ in range(times):
            self.it_backs_up(True, True, timedelta(minutes=5))
            self.we_look()

    @precondition(lambda self: self.whole)
    @rule(data=st.data())
    def the_pointer_is_moved(self, data: st.DataObject) -> None:
        self.pointer = data.draw(st.sampled_from(sorted(self.whole)), label="snapshot")
        self.garbled = False

    @rule(garbled=st.booleans())
    def the_pointer_is_lost(self, garbled: bool) -> None:
        self.pointer, self.garbled = None, garbled

    @rule(runs=st.booleans())
    def it_sleeps_or_wakes(self, runs: bool) -> None:
        if runs and not self.running:
            self.awake_since = self.now
        self.running = runs

    @rule()
    def we_look(self) -> None:
        facts = BackupFacts(
            running=self.running,
            awake_since=self.awake_since,
            backup_at=self.backup_at,
            recorded=self.recorded,
            verified=set(self.verified),
        )
        seen = Survey(self._latest(), None, tuple(sorted(self.whole, reverse=True)))
        found = judge_backups(facts, seen, self.now, STALE)

        good = self.pointer is not None and self.whole.get(self.pointer, False)
        good = good and not any(self.pointer and name > self.pointer for name in self._known())
        assert (found.good.timestamp if found.good else None) == (self.pointer if good else None)
        never = self.pointer is None and not self.garbled and not self._known()
        assert bool(found.broken) == (not good and not never), found.broken
        works = {n for n in self.verified if n in self.whole and n != self.pointer}
        assert found.fallback == (max(works, default="") if found.broken else "")
        made = self.made[self.pointer] if good and self.pointer else self.backup_at
        assert found.age == (None if made is None else self.now - made)
        since = max(made or self.awake_since, self.awake_since)
        assert found.stale == (self.running and self.now - since > STALE)

        if found.good is not None:
            self.recorded = max(self.recorded, found.good.timestamp)
            self.verified.add(found.good.timestamp)
            self.backup_at = made

    def _known(self) -> set[str]:
        """All that we ever took for good."""
        return self.verified

    def _latest(self) -> Verification | None:
        if self.garbled:
            return Verification(False, "it is no JSON", "")
        if self.pointer is None:
            return None
        if self.pointer not in self.whole:
            return Verification(False, "its manifest is missing", self.pointer)
        ok = self.whole[self.pointer]
        return Verification(
            ok, "" if ok else "a file is missing", self.pointer, self.made[self.pointer]
        )


def test_backups() -> None:
    run_state_machine_as_test(Bucket, settings=settings(max_examples=200, stateful_step_count=40))
