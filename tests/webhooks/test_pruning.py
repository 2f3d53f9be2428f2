"""What goes of webhooks, and what stays."""

import pytest

from tests.webhooks.conftest import ANN, after, happen, make_webhook
from tests.world import World
from towns.models import Town, WebhookDelivery, WebhookEndpoint
from towns.upkeep import prune
from towns.webhooks.endpoints import remove_webhook
from towns.webhooks.following import GRACE, follow_history

pytestmark = pytest.mark.django_db
LATER, LONG = GRACE.total_seconds(), 15 * 86_400


def pruned(seconds: float) -> tuple[int, int]:
    """How many deliveries and webhooks go."""
    removed = prune.prune(after(seconds), r2=World().services.r2).removed
    return removed["webhook_deliveries"], removed["webhooks"]


def test_what_was_told_long_ago_goes(mill: Town) -> None:
    make_webhook()
    happen(mill)
    for moment in (0, LATER):
        follow_history(after(moment))
    WebhookDelivery.objects.update(state="sent", ended_at=after(LATER))
    waiting = happen(mill)
    follow_history(after(LATER))
    assert pruned(LONG) == (1, 0)
    assert WebhookDelivery.objects.get().event == waiting


def test_what_the_history_is_still_looked_through_for_stays(mill: Town) -> None:
    """Without its row it would be told again."""
    make_webhook()
    happen(mill)
    follow_history(after(0))
    WebhookDelivery.objects.update(state="sent", ended_at=after(0))
    assert pruned(LONG) == (0, 0)
    assert follow_history(after(LONG)) == 0


def test_a_removed_webhook_goes_after_its_deliveries(mill: Town) -> None:
    made = make_webhook()
    happen(mill)
    follow_history(after(0))
    remove_webhook(made.endpoint.pk, actor=ANN, now=after(0))
    assert pruned(LONG) == (1, 1)
    assert not WebhookEndpoint.objects.exists()
