"""What comes in and goes out about webhooks."""

from uuid import UUID

from ninja import Schema
from pydantic import Field

from towns.api.shapes import Input, example
from towns.models import WebhookDelivery

_KINDS = "Kinds of events, such as stop_succeeded; an empty list: all of them."


class NewWebhook(Input):
    """A webhook to be made. Without `owner` it hears of the whole fleet, or of the owner's towns if
    the caller acts for one."""

    model_config = example(
        name="billing",
        url="https://hooks.example.com/gastown",
        kinds=["start_succeeded", "stop_succeeded"],
    )

    name: str = Field(max_length=60)
    url: str = Field(max_length=500, description="https; shown to nobody afterwards.")
    kinds: list[str] = Field([], description=_KINDS)
    owner: str | None = Field(None, max_length=150)


class WebhookChange(Input):
    """What is left out stays. One that is enabled again hears of what it missed, unless
    `skip_missed`."""

    name: str | None = Field(None, max_length=60)
    url: str | None = Field(None, max_length=500)
    kinds: list[str] | None = Field(None, description=_KINDS)
    enabled: bool | None = None
    skip_missed: bool = False


class WebhookOut(Schema):
    """A webhook. Of its address only the host is shown; `waiting` deliveries are to be sent."""

    id: UUID
    name: str
    host: str
    kinds: list[str]
    owner: str | None
    enabled: bool
    disabled_why: str
    disabled_at: str | None
    failures: int = Field(description="Tries that failed in a row.")
    paused_until: str | None
    last_sent_at: str | None
    waiting: int
    created_at: str
    created_by: str


class WebhookMade(WebhookOut):
    """With its secret, which signs what is sent (https://www.standardwebhooks.com): keep it now."""

    secret: str


class WebhookDeliveryOut(Schema):
    """One event and what became of telling it. `message_id` is the header webhook-id."""

    id: int
    event: int
    kind: str
    town: UUID
    message_id: UUID
    state: WebhookDelivery.State
    attempts: int
    last_error: str
    in_doubt: bool
    created_at: str
    due_at: str | None
    ended_at: str | None
