"""What the OpenAPI document says beyond the views' own shapes: refusals, and headers."""

from typing import Any

from towns.api.bearer import OWNER_HEADER
from towns.api.idempotency import HEADER as IDEMPOTENCY_HEADER
from towns.api.idempotency import LONGEST
from towns.api.problems import PROBLEM_SCHEMA, REFUSED

DESCRIPTION = """
## How to call it

Machines send `Authorization: Bearer gto_…`; `manage.py token create` or the admin makes tokens.
With the scope `owners:act` one may act for an owner (`X-Gastown-User`). People use their session.

Errors are `application/problem+json` (RFC 9457): `detail` tells people why and what to do, `type`
tells programs. Lists are paged by `cursor`. How often may be asked is in the headers `RateLimit`
and `RateLimit-Policy`; who asked too often is told when to come again (`Retry-After`).
Each answer has an `X-Request-ID`: yours, if you sent one of up to 128 letters, digits, `._:=/+-`.
"""


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": False,
        "description": description,
        "schema": {"type": "string", **schema},
    }


_PARAMETERS = {
    "ActingFor": _header(
        OWNER_HEADER,
        "The owner for whom a machine acts: it sees their towns, and its calls count as theirs.",
        minLength=1,
        maxLength=150,
    ),
    "IdempotencyKey": _header(
        IDEMPOTENCY_HEADER,
        "A request that is repeated with the same key is done once, and answered the same.",
        minLength=1,
        maxLength=LONGEST,
    ),
    "IfMatch": _header("If-Match", "Tags that were seen; 412 if it has changed since."),
    "IfNoneMatch": _header("If-None-Match", "Tags that are known; 304 if nothing is new."),
}
_TOWN = "/api/v1/towns/{town_id}"
_WEBHOOK = "/api/v1/webhooks/{webhook_id}"
_UNCONDITIONAL = f"{_TOWN}/interactions"


def complete(document: dict[str, Any]) -> None:
    """Add to the document what all views, or many, have in common."""
    components = document["components"]
    components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
    components["parameters"] = _PARAMETERS
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            operation["responses"]["default"] = REFUSED
            references = [
                {"$ref": f"#/components/parameters/{name}"} for name in _headers(path, method)
            ]
            operation["parameters"] = [*operation.get("parameters", []), *references]


def _headers(path: str, method: str) -> list[str]:
    """The headers that a view reads."""
    found = ["ActingFor"]
    if method == "post" or (method, path) == ("patch", _TOWN):
        found.append("IdempotencyKey")
    changes = method in ("patch", "post", "delete") and path != _UNCONDITIONAL
    if changes and path.startswith((_TOWN, _WEBHOOK)):
        found.append("IfMatch")
    if path in (_TOWN, _WEBHOOK) and method == "get":
        found.append("IfNoneMatch")
    return found
