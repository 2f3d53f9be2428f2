"""`Idempotency-Key`: a request that is repeated has its effect once, and its first answer again."""

import hashlib
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from towns.api.access import Caller
from towns.api.problems import CONTENT_TYPE, Problem, as_problem
from towns.models import IdempotentRequest

HEADER = "Idempotency-Key"
LONGEST = 255


class Answered(NamedTuple):
    """What a request is answered: the status, the body, and the body's tag where it has one."""

    status: int
    body: dict[str, Any]
    etag: str = ""


Act = Callable[[], Answered | tuple[int, dict[str, Any]]]


def once(request: HttpRequest, caller: Caller, act: Act) -> HttpResponse:
    """Do it, or answer again what was answered to this key. Raises Problem for a key that was used
    for something else.

    The key is kept in the transaction of what it did: there is never one without the other.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return _response(Answered(*act()))
    if not 0 < len(key) <= LONGEST:
        raise Problem(400, f"An {HEADER} has 1 to {LONGEST} characters.", "idempotency")
    fingerprint = _fingerprint(request)
    try:
        with transaction.atomic():
            kept = IdempotentRequest.objects.create(
                user=caller.user, key=key, fingerprint=fingerprint, created_at=timezone.now()
            )
            kept.status_code, kept.body, kept.etag = _answer(request, act)
            kept.save(update_fields=["status_code", "body", "etag"])
    except IntegrityError:
        known = IdempotentRequest.objects.filter(user=caller.user, key=key).first()
        if known is None:  # it was what was done that broke
            raise
        if known.fingerprint != fingerprint:
            raise Problem(
                422, f"That {HEADER} was used for another request. Choose a new one.", "idempotency"
            ) from None
        kept = known
    assert kept.status_code is not None
    return _response(Answered(kept.status_code, kept.body or {}, kept.etag))


def _answer(request: HttpRequest, act: Act) -> Answered:
    """What came of it, a refusal too; anything unexpected undoes the whole transaction."""
    try:
        with transaction.atomic():
            status, body, etag = Answered(*act())
            return Answered(status, json.loads(json.dumps(body, default=str)), etag)
    except Exception as error:  # noqa: BLE001  (as_problem raises what is no refusal)
        problem = as_problem(error)
        return Answered(problem.status, problem.document(request))


def _fingerprint(request: HttpRequest) -> str:
    parts = [
        request.method or "",
        request.get_full_path(),
        request.headers.get("If-Match", ""),
        request.body.decode("latin-1"),
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _response(answered: Answered) -> HttpResponse:
    kind = CONTENT_TYPE if answered.status >= 400 else "application/json"
    body = json.dumps(answered.body, default=str)
    response = HttpResponse(body, status=answered.status, content_type=kind)
    if answered.etag:
        response["ETag"] = answered.etag
    return response
