"""Wrong codes lock a name as wrong passwords do; neither step forgets what the other counted."""

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client

from tests.second_factor.app import (
    LOGIN,
    MANAGE,
    code_of,
    enrolled,
    give_code,
    give_password,
    is_in,
    signed_in,
    wait_it_out,
    wrong_code,
)

pytestmark = pytest.mark.django_db


def give_wrong(client: Client, user: User, key: str) -> int:
    wait_it_out(user)
    told: int = give_code(client, wrong_code(key)).status_code
    return told


def give_wrong_password(client: Client, user: User) -> int:
    return client.post(LOGIN, {"username": user.username, "password": "no"}).status_code


def test_five_wrong_codes_lock_the_name(client: Client, staff: User) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    told = [give_wrong(client, staff, device.key) for _ in range(5)]
    assert told == [200, 200, 200, 200, 429]
    wait_it_out(staff)
    answer = give_code(client, code_of(device.key))
    assert answer.status_code == 429, "the right one comes too late"
    assert "locked for 15 min" in answer.content.decode()
    assert give_password(client, staff).status_code == 429, "nor is there a way by the first step"
    assert not is_in(client)


def test_a_right_password_forgets_no_wrong_code(client: Client, staff: User) -> None:
    device = enrolled(staff)
    told = []
    for _ in range(5):
        give_password(client, staff)
        told.append(give_wrong(client, staff, device.key))
    assert told == [200, 200, 200, 200, 429]


def test_wrong_passwords_and_codes_are_counted_together(client: Client, staff: User) -> None:
    device = enrolled(staff)
    assert [give_wrong_password(client, staff) for _ in range(3)] == [200] * 3
    give_password(client, staff)
    assert [give_wrong(client, staff, device.key) for _ in range(2)] == [200, 429]


def test_both_right_forget_them(client: Client, staff: User) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    assert [give_wrong(client, staff, device.key) for _ in range(4)] == [200] * 4
    wait_it_out(staff)
    assert give_code(client, code_of(device.key)).status_code == 302
    assert not AccessAttempt.objects.exists()


def test_from_elsewhere_it_is_not_locked_but_has_to_wait(client: Client, staff: User) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    for _ in range(5):
        give_wrong(client, staff, device.key)
    device.refresh_from_db()
    assert device.throttling_failure_count == 5
    other = Client(REMOTE_ADDR="10.0.0.9")
    assert give_password(other, staff).status_code == 302
    wait_it_out(staff)
    assert give_code(other, wrong_code(device.key)).status_code == 200
    page = give_code(other, code_of(device.key)).content.decode()
    assert "After a wrong code the next one has to wait. Try again in" in page
    assert not is_in(other)


def test_codes_given_inside_count_too(staff: User) -> None:
    device = enrolled(staff)
    client = signed_in(staff)
    told = []
    for _ in range(5):
        wait_it_out(staff)
        form = {"what": "codes", "code": wrong_code(device.key)}
        told.append(client.post(MANAGE, form).status_code)
    assert told == [200, 200, 200, 200, 429]


def test_no_code_is_kept_in_the_log_of_tries(client: Client, staff: User) -> None:
    device = enrolled(staff)
    give_password(client, staff)
    give_wrong(client, staff, device.key)
    attempt = AccessAttempt.objects.get()
    assert attempt.username == "ann"
    assert wrong_code(device.key) not in attempt.post_data
