"""Durations, moments and sizes as people read them. Pure; `now` is passed in."""

from datetime import datetime

_SIZES = ("B", "kB", "MB", "GB", "TB")


def duration(seconds: float) -> str:
    """A length of time: `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    if whole < 86400:
        return _two(whole // 60, 60, "h", "min")
    return _two(whole // 3600, 24, "d", "h")


def ago(moment: datetime | None, now: datetime) -> str:
    """How far a moment is from now: `3 min ago`, `in 12 min`, `just now`, `never`."""
    if moment is None:
        return "never"
    seconds = (now - moment).total_seconds()
    if abs(seconds) < 1:
        return "just now"
    return f"{duration(seconds)} ago" if seconds > 0 else f"in {duration(-seconds)}"


def size(count: int | None) -> str:
    """A number of bytes in decimal units, as Fly counts: `1.2 GB`; `unknown` for None."""
    if count is None:
        return "unknown"
    value = float(count)
    for unit in _SIZES:
        if value < 999.5 or unit == _SIZES[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"


def used(part: int | None, whole: int | None) -> str:
    """How much of something is used: `1.2 GB of 50.0 GB (2 %)`."""
    if part is None or not whole:
        return size(part)
    return f"{size(part)} of {size(whole)} ({100 * part / whole:.0f} %)"


def utc(moment: datetime | None) -> str:
    """A moment to the second, in UTC; a dash for None."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "-"


def _two(count: int, base: int, large: str, small: str) -> str:
    whole, rest = divmod(count, base)
    return f"{whole} {large} {rest} {small}" if rest else f"{whole} {large}"
