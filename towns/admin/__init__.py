"""The Django admin, one file a model; importing this registers them."""

from towns.admin import (  # noqa: F401  (importing registers them)
    alert,
    backup,
    freeze,
    health_check,
    lifecycle_event,
    operation,
    sweep,
    town,
)
