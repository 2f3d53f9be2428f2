"""Alerts: opened once per subject and cause, closed by recovery, told once to people."""

from towns.alerts.deliver import deliver_alerts
from towns.alerts.opening import open_alert, open_many, resolve_alerts, resolve_many

__all__ = ["deliver_alerts", "open_alert", "open_many", "resolve_alerts", "resolve_many"]
