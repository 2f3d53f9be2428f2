"""How often a caller may ask: a token bucket each, in the database, for all processes together.

A process takes some tokens ahead (`towns.api.batches`), so the limit is kept to within a batch for
each process: a tenth of the burst, or what 5 s allow if that is less.

Headers as in https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/.
"""

import math
from functools import cache

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from towns.api.batches import Batches
from towns.api.problems import Problem
from towns.budgets import SharedBuckets
from towns.services.errors import RateLimited
from towns.services.limits import Limit, TokenBuckets

ACTION = "api"
MINUTE = 60


@cache
def _buckets(per_minute: int, burst: int) -> Batches:
    limit = Limit(per_second=per_minute / MINUTE, burst=burst)
    return Batches(SharedBuckets(own=TokenBuckets(limits={ACTION: limit})))


def count_call(request: HttpRequest, who: str) -> None:
    """Count a call of somebody. Problem 429, with the seconds to wait, when there are too many."""
    per_minute, burst = settings.GASTOWN_API_RATE_PER_MINUTE, settings.GASTOWN_API_BURST
    if not per_minute:
        return
    policy = f'"caller";q={per_minute};w={MINUTE}'
    request.META["gastown.rate_policy"] = policy
    try:
        left = _buckets(per_minute, burst).take(ACTION, who)
    except RateLimited as error:
        seconds = max(1, math.ceil(error.retry_after))
        told = f"That are too many calls: at most {per_minute} a minute. Try again in {seconds} s."
        headers = {"Retry-After": str(seconds), "RateLimit": f'"caller";r=0;t={seconds}'}
        raise Problem(429, told, "rate", headers=headers) from error
    if left is not None:
        request.META["gastown.rate_left"] = f'"caller";r={left};t={math.ceil(MINUTE / per_minute)}'


def tell_policy(request: HttpRequest, response: HttpResponseBase) -> None:
    """Say in the answer how often may be asked: how many calls are left at once, and in how many
    seconds there is one more."""
    if policy := request.META.get("gastown.rate_policy"):
        response["RateLimit-Policy"] = policy
    if left := request.META.get("gastown.rate_left"):
        response["RateLimit"] = left
