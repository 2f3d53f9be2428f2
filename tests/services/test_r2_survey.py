"""Surveys: the newest snapshot verified, and which others there are."""

import json

from towns.services.errors import Misconfigured
from towns.services.r2 import R2Client, R2Config, Survey

from .bucket import FILES, LIVE, MID, NEW, OLD, RETAINED, Bucket


def hold(bucket: Bucket, timestamp: str) -> None:
    bucket.snapshot(timestamp)
    bucket.put(f"{LIVE}snapshots/{timestamp}/held.json", b"{}")


def test_it_works(r2: R2Client, bucket: Bucket) -> None:
    for name in (OLD, MID, NEW):
        bucket.snapshot(name)
    bucket.point(NEW, generation=3)
    found = r2.survey(LIVE)
    assert found == Survey(r2.verify_latest(LIVE), None, (NEW, MID, OLD))
    assert found.latest is not None
    assert (found.latest.ok, found.latest.generation) == (True, 3)


def test_where_nothing_is_there_is_nothing(r2: R2Client) -> None:
    assert r2.survey(LIVE) == Survey(None)


def test_what_is_wrong_is_told_as_by_verify_latest(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.point(NEW)
    key = f"{LIVE}snapshots/{NEW}/config.tar"
    for body, problem in ((b"short", "config.tar has 5 bytes instead of 6"), (None, "is missing")):
        bucket.delete(key) if body is None else bucket.put(key, body)
        found = r2.survey(LIVE).latest
        assert found == r2.verify_latest(LIVE)
        assert found is not None
        assert problem in found.problem
    bucket.delete(f"{LIVE}snapshots/{NEW}/manifest.json")
    assert r2.survey(LIVE).latest == r2.verify_latest(LIVE)
    bucket.put(f"{LIVE}snapshots/{NEW}/manifest.json", b"{")
    found = r2.survey(LIVE).latest
    assert found is not None
    assert not found.ok


def test_a_pointer_that_makes_no_sense_is_a_problem(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.put(f"{LIVE}latest.json", b"nonsense")
    found = r2.survey(LIVE)
    assert found.latest is not None
    assert (found.latest.ok, found.latest.timestamp) == (False, "")
    assert found.complete == (NEW,)


def test_the_newest_held_snapshot_is_told_if_it_is_newer(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(MID)
    bucket.point(MID)
    hold(bucket, OLD)
    assert r2.survey(LIVE).held is None, "a newer one was good"
    hold(bucket, NEW)
    held = r2.survey(LIVE).held
    assert held is not None
    assert (held.timestamp, held.ok, held.bytes) == (NEW, True, sum(map(len, FILES.values())))


def test_uploads_that_are_not_complete_do_not_count(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(MID)
    bucket.point(MID)
    bucket.put(f"{LIVE}snapshots/{NEW}/config.tar", b"config")
    assert r2.survey(LIVE).complete == (MID,)


def test_many_at_once_are_answered_in_their_order(r2: R2Client, bucket: Bucket) -> None:
    bucket.snapshot(NEW)
    bucket.point(NEW)
    bucket.snapshot(OLD, RETAINED)
    found = r2.survey_many([RETAINED, LIVE], concurrency=2)
    assert [one.complete for one in found if isinstance(one, Survey)] == [(OLD,), (NEW,)]
    assert r2.survey_many([], concurrency=2) == []


def test_an_error_is_the_answer_of_its_prefix_alone() -> None:
    r2 = R2Client(R2Config("", "", "", ""))
    [found] = r2.survey_many([LIVE], concurrency=4)
    assert isinstance(found, Misconfigured)


def test_it_takes_few_calls(r2: R2Client, bucket: Bucket) -> None:
    """Two hundred towns are surveyed in one sweep."""
    for name in (OLD, MID, NEW):
        bucket.snapshot(name)
    bucket.point(NEW)
    calls: list[str] = []
    events = r2._store.client().meta.events
    heard = lambda **given: calls.append(given["model"].name)  # noqa: E731  (one to unregister)
    events.register("before-call.s3", heard)
    r2.survey(LIVE)
    events.unregister("before-call.s3", heard)
    assert calls == ["GetObject", "ListObjectsV2", "GetObject"], json.dumps(calls)
