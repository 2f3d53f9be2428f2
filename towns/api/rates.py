"""How often a caller may ask: a token bucket each, in the database, for all processes together.

A process takes some tokens ahead (`towns.api.batches`), so the limit is kept to within a batch for
each process: a tenth of the burst, or what 5 s allow if that is less.

Headers as in https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/.
"""

import math
from functools import cache
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from towns.api.batches import Batches
from towns.api.problems import Problem
from towns.budgets import SharedBuckets
from towns.services.errors import RateLimited
from towns.services.limits import Limit, TokenBuckets

ACTION, WRONG = "api", "wrong token"
WRONG_BUCKETS = 4096
MINUTE = 60


@cache
def _buckets(per_minute: int, burst: int) -> Batches:
    limit = Limit(per_second=per_minute / MINUTE, burst=burst)
    return Batches(SharedBuckets(own=TokenBuckets(limits={ACTION: limit})))


@cache
def _wrong_tokens(per_minute: int, burst: int) -> TokenBuckets:
    return TokenBuckets(limits={WRONG: Limit(per_second=per_minute / MINUTE, burst=burst)})


def count_call(request: HttpRequest, who: str) -> None:
    """Count a call of somebody. Problem 429, with the seconds to wait, when there are too many."""
    per_minute = settings.GASTOWN_API_RATE_PER_MINUTE
    if not per_minute:
        return
    request.META["gastown.rate_policy"] = f'"caller";q={per_minute};w={MINUTE}'
    if (left := count(who)) is not None:
        request.META["gastown.rate_left"] = f'"caller";r={left};t={math.ceil(MINUTE / per_minute)}'


def count(who: str) -> int | None:
    """Count a call, or a WebSocket that is opened; returns how many are left at once, None if that
    isn't known. Problem as above."""
    per_minute, burst = settings.GASTOWN_API_RATE_PER_MINUTE, settings.GASTOWN_API_BURST
    if not per_minute:
        return None
    try:
        return _buckets(per_minute, burst).take(ACTION, who)
    except RateLimited as error:
        raise _too_many("calls", per_minute, error) from error


def count_wrong_token(address: str) -> None:
    """Count a wrong token from an address, in this process alone: whoever sends wrong ones must not
    cost us writes. Problem as above. It has the limit of a caller, and shares it with no caller: a
    right token from the same address goes on working."""
    per_minute, burst = settings.GASTOWN_API_RATE_PER_MINUTE, settings.GASTOWN_API_BURST
    if not per_minute:
        return
    # So many buckets and no more, however many addresses somebody has: some will share one.
    bucket = str(hash(_network(address)) % WRONG_BUCKETS)
    try:
        _wrong_tokens(per_minute, burst).take(WRONG, bucket)
    except RateLimited as error:
        raise _too_many("wrong tokens from your address", per_minute, error) from error


def _network(address: str) -> str:
    """What one subscriber has: an address, or a /64 of IPv6."""
    try:
        known = ip_address(address)
    except ValueError:  # the proxy's header says something else
        return address
    return str(ip_network((known, 64), strict=False)) if known.version == 6 else address


def _too_many(what: str, per_minute: int, error: RateLimited) -> Problem:
    seconds = max(1, math.ceil(error.retry_after))
    told = f"That are too many {what}: at most {per_minute} a minute. Try again in {seconds} s."
    headers = {"Retry-After": str(seconds), "RateLimit": f'"caller";r=0;t={seconds}'}
    return Problem(429, told, "rate", headers=headers)


def tell_policy(request: HttpRequest, response: HttpResponseBase) -> None:
    """Say in the answer how often may be asked: how many calls are left at once, and in how many
    seconds there is one more."""
    if policy := request.META.get("gastown.rate_policy"):
        response["RateLimit-Policy"] = policy
    if left := request.META.get("gastown.rate_left"):
        response["RateLimit"] = left
