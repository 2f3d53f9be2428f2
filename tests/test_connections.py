"""Connections to PostgreSQL: what a host that is cut off had locked does not stay locked."""

import pytest
from django.db import connection

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connections"),
]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("idle_in_transaction_session_timeout", "30s"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
        ("tcp_user_timeout", "25000"),
    ],
)
def test_the_server_lets_go_of_whoever_is_gone(setting: str, expected: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {setting}")
        assert cursor.fetchone() == (expected,)


def test_we_notice_that_the_server_is_gone() -> None:
    parameters = connection.get_connection_params()
    assert parameters["keepalives_idle"] + 3 * parameters["keepalives_interval"] <= 25
    assert parameters["connect_timeout"] == 10
