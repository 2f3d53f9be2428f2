"""`manage.py setup_r2`."""

import pytest
from django.test import override_settings

from tests.commands.conftest import Call

pytestmark = pytest.mark.django_db


def test_setup_r2_is_idempotent(call: Call) -> None:
    with override_settings(GASTOWN_RETENTION_DAYS=7):
        assert call("setup_r2", "--json").json["changed"] is True
        assert call("setup_r2", "--json").json["changed"] is False
