"""Every address of the project, walked from the resolver."""

from collections.abc import Iterator
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver


def all_patterns(resolver: URLResolver | None = None, before: str = "") -> Iterator[str]:
    """The patterns, whole, as `admin/towns/town/<path:object_id>/change/`."""
    for one in (resolver or get_resolver()).url_patterns:
        here = before + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from all_patterns(one, here)
        else:
            assert isinstance(one, URLPattern)
            yield here


def filled(pattern: str, values: dict[str, Any]) -> str:
    """A pattern as a path: `<uuid:town_id>` takes the value `town_id`; what isn't named stays."""
    path = pattern.replace("^", "").replace("$", "")
    for name, value in values.items():
        for kind in ("uuid", "int", "path", "slug", "str"):
            path = path.replace(f"<{kind}:{name}>", str(value))
    return "/" + path
