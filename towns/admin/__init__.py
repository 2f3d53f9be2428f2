"""The Django admin, one file a model; importing this registers them."""

from towns.admin import (  # noqa: F401  (importing registers them)
    account,
    alert,
    backup,
    bulk_run,
    delivery,
    drill,
    freeze,
    health_check,
    health_hour,
    lifecycle_event,
    operation,
    orphan,
    replay,
    sweep,
    task_queue,
    token,
    town,
    webhook,
    webhook_delivery,
    window,
)
