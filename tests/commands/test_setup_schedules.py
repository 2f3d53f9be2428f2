"""`manage.py setup_schedules`."""

import pytest

from tests.commands.conftest import Call

pytestmark = pytest.mark.django_db


def test_setup_schedules_again_changes_nothing(call: Call) -> None:
    assert call("setup_schedules", "--json").json["set_up"] == []
