"""The messenger of webhooks: what is new in the history becomes deliveries; what is due is sent.

Any number of messengers may run: each try is in one hand, under a lease, and is sent outside of
transactions. What is known to have failed is repeated with back-off under the same webhook-id. An
address that fails again and again is left alone for a while, so that it isn't asked once per event;
when an event has had all its tries and nothing else got through since, the webhook is disabled, and
staff are told. Nothing is lost then: once enabled it goes on from where it stopped.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from django.conf import settings
from django.db.models import F

from towns.alerts.planning import back_off
from towns.guarded_http import GuardedAdapter
from towns.models import WebhookDelivery, WebhookEndpoint
from towns.posting import Endpoint, post
from towns.sending import Ending, Outcome
from towns.webhooks import claims
from towns.webhooks.endpoints import disable
from towns.webhooks.following import follow_history
from towns.webhooks.payloads import payload
from towns.webhooks.secrets import keys_of

log = logging.getLogger(__name__)
ROUND_SECONDS = 60
"""No try begins later in a round, so that a task ends before the cluster kills it (120 s)."""
TRY_SECONDS = 15
"""No try takes longer, however slowly it is answered."""
AT_ONCE = 8
FAILURES_IN_A_ROW = 3
"""After so many an address is left alone for a while."""
LONGEST_ERROR = 300
SPENT = "The worker died in its last try; whether that arrived is not known."


def deliver_webhooks(now: datetime) -> int:
    """One round: follow the history and send what is due, each endpoint in turn. Returns how many
    arrived."""
    began, arrived = time.monotonic(), 0
    follow_history(now)
    if spent := claims.give_up_spent(now, SPENT, attempts=settings.GASTOWN_WEBHOOK_ATTEMPTS):
        log.error("%d deliveries to webhooks are given up. %s", spent, SPENT)
    waiting = deque(claims.ready(now))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        while waiting and time.monotonic() - began < ROUND_SECONDS:
            endpoint = claims.as_it_is(waiting.popleft())
            if endpoint is None:
                continue
            # One that failed lately is asked with one event before it gets many.
            taken = claims.claim(endpoint, now, at_most=1 if endpoint.failures else AT_ONCE)
            if taken:
                sent, goes_on = _tell(endpoint, taken, pool, now)
                arrived += sent
                if goes_on:
                    waiting.append(endpoint)
    return arrived


def _tell(
    endpoint: WebhookEndpoint,
    taken: Sequence[WebhookDelivery],
    pool: ThreadPoolExecutor,
    now: datetime,
) -> tuple[int, bool]:
    """Try them all at once. How many arrived, and whether to go on with this endpoint."""
    to = Endpoint(endpoint.url, keys_of(endpoint, now), "Its address")
    bodies = [payload(one.event) for one in taken]
    tries = [
        pool.submit(_post, to, body, one, now) for body, one in zip(bodies, taken, strict=True)
    ]
    ends = [(one, done.result()) for one, done in zip(taken, tries, strict=True)]
    sent = [one for one, outcome in ends if outcome.ending == Ending.SENT]
    failed = [(one, outcome) for one, outcome in ends if outcome.ending != Ending.SENT]
    if sent:
        assert sent[0].claim is not None
        claims.settle_sent(sent, sent[0].claim, now)
    _note_health(endpoint, arrived=bool(sent), failed=len(failed), now=now)
    for one, outcome in failed:
        _note_failed(endpoint, one, outcome, now)
    down = any(outcome.channel_down for _, outcome in failed)
    goes_on = not down and endpoint.enabled and endpoint.paused_until is None
    return len(sent), goes_on


def _post(to: Endpoint, body: bytes, delivery: WebhookDelivery, now: datetime) -> Outcome:
    """One try, in a thread that touches no database. A fault of ours is one of this event alone."""
    adapter = GuardedAdapter(private=settings.GASTOWN_WEBHOOK_PRIVATE, seconds=TRY_SECONDS)
    watch = threading.Timer(TRY_SECONDS, adapter.cut)
    watch.daemon = True
    watch.start()
    try:
        return post(to, body, message_id=delivery.message_id, now=now, adapter=adapter)
    except Exception as error:  # noqa: BLE001  (it must not stop the others; its text may hold the address)
        return Outcome(Ending.IN_DOUBT, f"It could not be sent: {type(error).__name__}.")
    finally:
        watch.cancel()


def _note_health(endpoint: WebhookEndpoint, *, arrived: bool, failed: int, now: datetime) -> None:
    """How the address does, all its events together."""
    known = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    if arrived:
        endpoint.failures, endpoint.paused_until, endpoint.last_sent_at = 0, None, now
        known.update(failures=0, paused_until=None, last_sent_at=now)
        return
    known.update(failures=F("failures") + failed)
    endpoint.failures += failed
    if endpoint.failures >= FAILURES_IN_A_ROW:
        endpoint.paused_until = now + back_off(endpoint.failures - FAILURES_IN_A_ROW + 1)
        known.update(paused_until=endpoint.paused_until)


def _note_failed(
    endpoint: WebhookEndpoint, one: WebhookDelivery, outcome: Outcome, now: datetime
) -> None:
    error = outcome.error[:LONGEST_ERROR]
    doubt = {"in_doubt": True} if outcome.ending == Ending.IN_DOUBT else {}
    gone = outcome.ending == Ending.REFUSED
    spent = one.attempts >= settings.GASTOWN_WEBHOOK_ATTEMPTS
    if gone or spent:
        claims.settle(
            one, state=WebhookDelivery.State.GIVEN_UP, ended_at=now, last_error=error, **doubt
        )
        log.error("webhook %s, event %s: %s Given up.", endpoint.name, one.event_id, error)
        last = endpoint.last_sent_at
        if gone or last is None or last < one.created_at:
            tries = "" if gone else f" {one.attempts} tries in a row got nothing through."
            disable(endpoint, f"{error}{tries} Mend its receiver, then enable it.", now)
            endpoint.enabled = False
        return
    claims.settle(one, due_at=now + back_off(one.attempts), last_error=error, **doubt)
    log.warning("webhook %s, event %s: %s It is tried again.", endpoint.name, one.event_id, error)
