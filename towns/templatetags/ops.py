"""Filters for pages: tags, moments, lengths of time."""

from datetime import datetime, timedelta

from django import template
from django.utils.safestring import SafeString

from towns import display
from towns.readable import duration

register = template.Library()


@register.filter
def tag(word: str, text: str = "") -> SafeString:
    """A coloured tag for a status, result or severity."""
    return display.tag(word, text)


@register.filter
def when(moment: datetime | None, now: datetime) -> SafeString | str:
    """A moment as people count it, with the exact time in its tooltip."""
    return display.when(moment, now)


@register.filter
def took(span: timedelta | float | None) -> str:
    """A length of time, in seconds or as a span; a dash for None."""
    if span is None:
        return display.NOTHING
    return duration(span.total_seconds() if isinstance(span, timedelta) else span)


@register.filter
def percent(share: float | None) -> str:
    """A share of 0 to 1 as a percentage with one decimal; a dash for None."""
    return display.NOTHING if share is None else f"{100 * share:.1f} %"
