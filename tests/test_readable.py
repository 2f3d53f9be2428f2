"""Durations, moments and sizes as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from towns.readable import ago, duration, size, used, utc

NOW = datetime(2026, 2, 17, 12, 0, tzinfo=UTC)


def test_it_works() -> None:
    assert ago(NOW - timedelta(minutes=3), NOW) == "3 min ago"
    assert used(1_200_000_000, 50_000_000_000) == "1.2 GB of 50.0 GB (2 %)"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86399, "23 h 59 min"),
        (86400, "1 d"),
        (273600, "3 d 4 h"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-720, "in 12 min"), (-1, "in 1 s"), (-0.9, "just now"), (0.9, "just now"), (1, "1 s ago")],
)
def test_moments(seconds: float, text: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == text


def test_what_never_was() -> None:
    assert ago(None, NOW) == "never"
    assert utc(None) == "-"


def test_exact_moments_say_their_zone() -> None:
    assert utc(NOW) == "2026-02-17 12:00:00 UTC"


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "unknown"),
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (99_400, "99.4 kB"),
        (99_960, "100 kB"),
        (999_400, "999 kB"),
        (999_600, "1.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (5 * 10**15, "5000 TB"),
    ],
)
def test_sizes(count: int | None, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (None, 100, "unknown"),
        (500, None, "500 B"),
        (500, 0, "500 B"),
        (0, 1000, "0 B of 1.0 kB (0 %)"),
    ],
)
def test_shares_of_what_is_unknown(part: int | None, whole: int | None, text: str) -> None:
    assert used(part, whole) == text
