"""Going on with a bulk run."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests.bulk_work.conftest import end
from tests.factories import NOW, make_operation, make_user
from towns.actions import REQUESTS, Requested, request_destroy, request_stop
from towns.bulk_work import advance as module
from towns.bulk_work import deciding
from towns.bulk_work.advance import advance, advance_all
from towns.bulk_work.plan import counts_of
from towns.history import Actor
from towns.models import BulkRun, Operation
from towns.words import OperationKind

Begun = Callable[..., BulkRun]
ANN = "ann"


def counts(run: BulkRun) -> dict[str, int]:
    run.refresh_from_db()
    return dict(counts_of(run))


def test_it_works(begun: Begun) -> None:
    run = begun(6)
    assert advance(run.pk, NOW)
    assert counts(run) == {"asked": 1, "waiting": 5}, "the canary goes first"
    assert advance(run.pk, NOW)
    assert counts(run) == {"asked": 1, "waiting": 5}, "and is waited for"
    end("succeeded")
    advance(run.pk, NOW)
    advance(run.pk, NOW)
    assert counts(run) == {"done": 1, "asked": 3, "waiting": 2}, "then three at once"
    end("succeeded", count=1)
    advance(run.pk, NOW)
    assert counts(run) == {"done": 2, "asked": 3, "waiting": 1}
    end("succeeded")
    advance(run.pk, NOW)
    end("succeeded")
    assert not advance(run.pk, NOW)
    assert counts(run) == {"done": 6}
    assert (run.state, run.finished_at) == ("done", NOW)
    operation = Operation.objects.first()
    assert operation is not None
    assert (operation.actor, operation.reason) == (ANN, f"bulk run {run.pk}: moving")


def test_a_canary_that_fails_begins_nothing_else(begun: Begun) -> None:
    run = begun(4)
    advance(run.pk, NOW)
    end("failed", message="no capacity")
    assert not advance(run.pk, NOW)
    assert counts(run) == {"failed": 1, "waiting": 3}
    assert (run.state, run.note) == ("paused", "The canary failed: nothing else was begun.")
    assert run.items.get(state="failed").told == "no capacity"


def test_it_stops_at_the_first_failures_and_goes_on_when_told(begun: Begun) -> None:
    run = begun(9, canaries=0)
    advance(run.pk, NOW)
    end("failed")
    assert not advance(run.pk, NOW)
    assert counts(run) == {"failed": 3, "waiting": 6}
    assert run.note.startswith("3 towns failed")
    assert not advance(run.pk, NOW), "until somebody decides"
    assert deciding.go_on(run.pk, user=run.user)
    advance(run.pk, NOW)
    assert counts(run) == {"failed": 3, "asked": 3, "waiting": 3}


def test_cancelling_begins_no_more_and_ends_nothing(begun: Begun) -> None:
    run = begun(5, canaries=0)
    advance(run.pk, NOW)
    assert deciding.cancel(run.pk, actor=ANN, now=NOW)
    assert advance(run.pk, NOW), "it hears what becomes of those"
    assert counts(run) == {"asked": 3, "waiting": 2}
    assert Operation.objects.filter(state="open").count() == 3
    end("succeeded")
    assert not advance(run.pk, NOW)
    assert counts(run) == {"done": 3, "waiting": 2}
    assert not deciding.go_on(run.pk, user=run.user), "that was for good"


def test_pausing(begun: Begun) -> None:
    run = begun(5, canaries=0)
    assert deciding.pause(run.pk, actor=ANN)
    assert not advance(run.pk, NOW)
    assert not Operation.objects.exists()
    assert deciding.go_on(run.pk, user=run.user)
    assert advance(run.pk, NOW)


def test_two_who_begin_at_once_do_it_once(begun: Begun) -> None:
    run = begun(2)
    how: dict[str, Any] = {"reason": "x", "at_once": 9, "canaries": 0, "failures_allowed": 1}
    assert not deciding.begin(run.pk, user=run.user, now=NOW, **how)
    run.refresh_from_db()
    assert (run.reason, run.at_once) == ("moving", 3)


def test_who_was_stopped_or_destroyed_meanwhile_is_skipped(begun: Begun) -> None:
    run = begun(3, canaries=0)
    first, second, _ = run.items.order_by("id")
    request_stop(first.town_id, actor=Actor("bob"), now=NOW)
    end("succeeded")
    request_destroy(second.town_id, actor=Actor("bob"), now=NOW)
    advance(run.pk, NOW)
    states = list(run.items.order_by("id").values_list("state", flat=True))
    assert states[1:] == ["skipped", "asked"]
    assert "destroy" in run.items.get(pk=second.pk).told


def test_a_worker_that_dies_asks_for_nothing_twice(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(3, canaries=0)
    ask, died = REQUESTS[OperationKind.STOP], list[Requested]()

    def dying(*args: Any, **kwargs: Any) -> Any:
        asked = ask(*args, **kwargs)
        if len(died) < 2:
            died.append(asked)
            if len(died) == 2:
                raise KeyboardInterrupt
        return asked

    monkeypatch.setattr(module, "REQUESTS", {OperationKind.STOP: dying})
    with pytest.raises(KeyboardInterrupt):
        advance(run.pk, NOW)
    assert counts(run) == {"waiting": 3}, "what was asked for is undone with the rest"
    assert not Operation.objects.exists()
    advance(run.pk, NOW)
    advance(run.pk, NOW)
    assert counts(run) == {"asked": 3}
    assert Operation.objects.count() == 3


def test_rights_that_were_taken_away_hold_at_once(begun: Begun, ann: User) -> None:
    run = begun(3, canaries=0, at_once=1)
    advance(run.pk, NOW)
    ann.user_permissions.clear()
    assert advance(run.pk, NOW)
    assert counts(run) == {"asked": 1, "waiting": 2}
    assert run.note.startswith("ann may not stop towns any more.")


def test_what_had_to_end_first_counts_as_nothing(begun: Begun) -> None:
    run = begun(2, canaries=0)
    backups = [
        make_operation(item.town, OperationKind.BACKUP, created_at=NOW)
        for item in run.items.select_related("town")
    ]
    advance(run.pk, NOW)
    assert counts(run) == {"asked": 2}
    assert "once its backup has ended" in run.items.all()[0].told
    end("succeeded")
    follower = make_operation(backups[0].town, OperationKind.STOP, created_at=NOW)
    advance(run.pk, NOW)
    assert counts(run) == {"asked": 2}, "one stops already, the other was asked for again"
    assert run.items.all()[0].operation == follower
    assert set(run.items.values_list("operation__kind", flat=True)) == {"stop"}
    end("succeeded")
    assert not advance(run.pk, NOW)
    assert counts(run) == {"done": 2}


def test_what_was_superseded_is_no_failure(begun: Begun) -> None:
    run = begun(2, canaries=0, failures_allowed=1)
    advance(run.pk, NOW)
    end("superseded")
    assert not advance(run.pk, NOW)
    assert counts(run) == {"skipped": 2}
    assert run.state == "done"


def test_who_begins_or_goes_on_answers_for_it(begun: Begun, ann: User) -> None:
    bob = make_user("bob", is_staff=True, permissions=("view_town", "stop_town"))
    run = begun(2, canaries=0, at_once=1)
    ann.user_permissions.clear()
    advance(run.pk, NOW)
    assert counts(run) == {"waiting": 2}
    assert deciding.go_on(run.pk, user=bob)
    advance(run.pk, NOW)
    assert counts(run) == {"asked": 1, "waiting": 1}
    assert Operation.objects.get().actor == "bob"


def test_a_canary_that_was_paused_stays_one(begun: Begun) -> None:
    run = begun(5)
    advance(run.pk, NOW)
    assert deciding.pause(run.pk, actor=ANN)
    assert deciding.go_on(run.pk, user=run.user)
    advance(run.pk, NOW)
    assert counts(run) == {"asked": 1, "waiting": 4}
    assert run.state == "canary"


def test_an_unexpected_error_is_one_town_s(begun: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    run = begun(3, canaries=0)
    bad, ask = run.items.all()[0].town_id, REQUESTS[OperationKind.STOP]

    def breaking(town_id: Any, **how: Any) -> Any:
        if town_id == bad:
            raise ZeroDivisionError
        return ask(town_id, **how)

    monkeypatch.setattr(module, "REQUESTS", {OperationKind.STOP: breaking})
    assert advance(run.pk, NOW)
    assert counts(run) == {"failed": 1, "waiting": 2}, "it is looked at first how many may fail"
    advance(run.pk, NOW)
    assert counts(run) == {"failed": 1, "asked": 2}
    assert "ZeroDivisionError" in run.items.get(state="failed").told


def test_a_run_that_can_not_go_on_holds_up_no_other(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = begun(1, canaries=0), begun(1, canaries=0)
    settle = module._settle

    def breaking(run: BulkRun) -> None:
        if run.pk == first.pk:
            raise ZeroDivisionError
        settle(run)

    monkeypatch.setattr(module, "_settle", breaking)
    assert advance_all(NOW) == 2
    assert counts(first)["waiting"]
    assert counts(second)["asked"]
    assert "ZeroDivisionError" in first.note, "who follows it is told why it stands still"
    assert second.note == ""
    monkeypatch.setattr(module, "_settle", settle)
    advance_all(NOW)
    assert counts(first)["asked"]
    assert first.note == ""


def test_all_that_go_are_advanced(begun: Begun) -> None:
    begun(2)
    assert advance_all(NOW) == 1
    end("succeeded")
    BulkRun.objects.update(state="paused")
    assert advance_all(NOW) == 0
