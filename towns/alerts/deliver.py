"""The messenger: takes what is due out of the outbox and tells people.

What is told when, and what together, is decided in `planning`. Any number of messengers may run:
a message is in one hand at a time, under a lease, and is sent outside of transactions. A try that
is known to have failed is repeated with back-off and given up visibly after the last. Nobody gets
the same news twice, but for one case that no sender can exclude: a try whose end is not known, as
its worker was killed between sending and noting it, or the answer was lost. It is repeated under
the same id (Message-ID, webhook-id), so that the receiver can drop it.
"""

import logging
import time
from datetime import datetime
from types import TracebackType
from typing import Self

from django.conf import settings

from towns.alerts import claims, outbox, webhook
from towns.alerts.claims import Claimed
from towns.alerts.letters import letter
from towns.alerts.mail import Mailer
from towns.alerts.planning import back_off, plan
from towns.models import Delivery
from towns.posting import post
from towns.sending import Ending, Outcome

log = logging.getLogger(__name__)
ROUND_SECONDS = 60
"""No try begins later in a round, so that a task ends before the cluster kills it (120 s)."""
SPENT = "The worker died in its last try; whether that arrived is not known."


def deliver_alerts(now: datetime) -> int:
    """One round: tell what is due. Returns how many messages were sent."""
    began = time.monotonic()
    rules = outbox.rules()
    outbox.write_forgotten(now)
    waiting = claims.read_waiting(now)
    sent = 0
    if waiting:
        decided = plan(
            waiting,
            now=now,
            rules=rules,
            digests=claims.read_digests(now, rules.pause),
            down=claims.read_down(),
        )
        for reason, pks in decided.dropped.items():
            claims.drop(pks, reason, now)
        if decided.spent:
            claims.give_up(decided.spent, SPENT, now)
            log.error("%d deliveries of alerts are given up. %s", len(decided.spent), SPENT)
        with Senders(now) as senders:
            for message in decided.messages:
                if time.monotonic() - began > ROUND_SECONDS:
                    break  # the rest is still due when the next round begins
                if message.channel in senders.down:
                    continue
                claimed = claims.claim(message, now)
                if claimed is not None and claimed.alerts:
                    sent += _tell(claimed, senders, now, rules.attempts)
    claims.note_told(now)
    return sent


class Senders:
    """The channels of one round. One that is `down` is left alone until the next."""

    def __init__(self, now: datetime) -> None:
        self.down: set[str] = set()
        self._now = now
        self._mailer = Mailer()
        self._endpoint = webhook.endpoint()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._mailer.close()

    def send(self, claimed: Claimed) -> Outcome:
        """One try."""
        message, alerts = claimed.message, claimed.alerts
        if message.channel == Delivery.Channel.EMAIL:
            text = letter(
                alerts,
                news=message.news,
                audience=message.audience,
                digest=message.digest,
                url=settings.GASTOWN_CONTROL_PLANE_URL,
            )
            outcome = self._mailer.send(text, to=message.recipient, message_id=claimed.message_id)
        elif self._endpoint is None:
            outcome = Outcome(Ending.REFUSED, "No webhook is set any more.")
        else:
            body = webhook.payload(alerts, news=message.news, digest=message.digest)
            outcome = post(self._endpoint, body, message_id=claimed.message_id, now=self._now)
        if outcome.channel_down:
            self.down.add(message.channel)
        return outcome


def _tell(claimed: Claimed, senders: Senders, now: datetime, attempts: int) -> bool:
    try:
        outcome = senders.send(claimed)
        _note(claimed, outcome, now, attempts)
    except Exception:
        # A fault of ours in one message must not stop the others. Its lease runs out by itself,
        # and then it is tried again as one whose end is not known.
        log.exception("message %s about alert %s", claimed.message_id, claimed.alerts[0].pk)
        return False
    return outcome.ending == Ending.SENT


def _note(claimed: Claimed, outcome: Outcome, now: datetime, attempts: int) -> None:
    state = Delivery.State
    if outcome.ending == Ending.SENT:
        claims.settle(claimed, state=state.SENT, sent_at=now, last_error="")
        return
    doubt = {"in_doubt": True} if outcome.ending == Ending.IN_DOUBT else {}
    end = outcome.ending == Ending.REFUSED or claimed.attempts >= attempts
    then = {"state": state.GIVEN_UP} if end else {"due_at": now + back_off(claimed.attempts)}
    claims.settle(claimed, last_error=outcome.error, **then, **doubt)
    log.log(
        logging.ERROR if end else logging.WARNING,
        "%s to %s about alert %s: %s %s",
        claimed.message.channel,
        claimed.message.recipient,
        claimed.alerts[0].pk,
        outcome.error,
        f"Given up after {claimed.attempts} tries." if end else "It is tried again.",
    )
