"""What django-axes counts, and besides all wrong tries from one address, whatever the names: else a
common password could be tried on every name there is, five times each."""

from ipaddress import ip_address
from typing import Any

from axes.attempts import get_cool_off_threshold
from axes.handlers.database import AxesDatabaseHandler
from axes.helpers import get_failure_limit
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import Sum
from django.http import HttpRequest


class LockOuts(AxesDatabaseHandler):  # type: ignore[misc]  # of a package without types
    """There is no limit for a name from all addresses together: with it anybody could lock anybody
    out. A second factor guards staff against whoever has many addresses."""

    def get_failures(self, request: HttpRequest, credentials: Any = None) -> int:
        """The wrong tries for a name and address; as many as lock it when there were too many from
        the address."""
        failures: int = super().get_failures(request, credentials)
        locking: int = get_failure_limit(request, credentials)
        if failures < locking and _too_many_from(request):
            return locking
        return failures


def _too_many_from(request: Any) -> bool:
    """An address that is not of the internet may be that of a proxy, which all come through: it is
    not counted."""
    limit, address = settings.GASTOWN_LOCKOUT_ADDRESS_TRIES, request.axes_ip_address
    if not limit or not ip_address(address).is_global:
        return False
    recent = AccessAttempt.objects.filter(
        ip_address=address, attempt_time__gte=get_cool_off_threshold(request)
    )
    return (recent.aggregate(sum=Sum("failures_since_start"))["sum"] or 0) >= limit
