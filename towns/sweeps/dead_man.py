"""A dead man's switch: a ping after each good sweep, so that somebody outside hears our silence.

`GASTOWN_DEAD_MAN_URL` is an address with `{sweep}` in it (health, idle, reconcile, backups), as of
a check of healthchecks.io, which alerts when no ping comes for some periods.
"""

import logging
from collections.abc import Mapping

import requests
from django.conf import settings
from django.db import transaction
from django_q.tasks import async_task

SECONDS = 5.0
TASK = "towns.sweeps.dead_man.ping"
log = logging.getLogger(__name__)


def after_sweep(kind: str, summary: Mapping[str, object]) -> None:
    """Have a task ping for a sweep that has ended, all that follows from it decided, unless its
    summary says that it saw nothing: a `blind` one is no good one.

    A host that answers slowly delays nobody, and a queue that takes no task fails nothing.
    """
    if settings.GASTOWN_DEAD_MAN_URL and not summary.get("blind"):
        transaction.on_commit(lambda: async_task(TASK, kind), robust=True)


def ping(kind: str) -> bool:
    """Ping for a kind of sweep; whether it was heard. Its failing fails nothing else."""
    try:
        answer = requests.get(settings.GASTOWN_DEAD_MAN_URL.format(sweep=kind), timeout=SECONDS)
    except requests.RequestException as error:
        log.warning("the dead man's ping of the %s sweep failed: %s", kind, type(error).__name__)
        return False
    if not answer.ok:
        log.warning("the dead man's ping of the %s sweep got %s", kind, answer.status_code)
    return answer.ok
