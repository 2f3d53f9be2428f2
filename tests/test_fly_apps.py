"""Which Fly apps a setting names, and which of them is a town's."""

from collections import Counter
from uuid import UUID, uuid4

import pytest
from django.test import override_settings

from towns.fly_apps import MOST, app_for, app_of, apps_named, configured, presumed
from towns.models import Town


def setting(value: str) -> override_settings:
    return override_settings(GASTOWN_FLY_APP_NAME=value)


@pytest.mark.parametrize(
    ("text", "apps"),
    [
        ("", ()),
        ("towns", ("towns",)),
        ("Any Name_as-before", ("Any Name_as-before",)),
        ("towns-{1..3}", ("towns-1", "towns-2", "towns-3")),
        ("{9..10}-towns", ("9-towns", "10-towns")),
        ("eu-{1..1}-towns", ("eu-1-towns",)),
        ("towns, towns-{1..2}", ("towns", "towns-1", "towns-2")),
        ("b,a", ("b", "a")),
    ],
)
def test_what_a_setting_names(text: str, apps: tuple[str, ...]) -> None:
    assert apps_named(text) == apps


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("towns-{1..8", "one range in braces"),
        ("towns-{1,8}", "one range in braces"),
        ("towns-{a..c}", "one range in braces"),
        ("{1..2}-{1..2}", "one range in braces"),
        ("towns-{8..1}", "begins with its smaller number"),
        ("towns-{01..08}", "without leading zeros"),
        (f"towns-{{1..{MOST + 1}}}", f"at most {MOST}"),
        ("a-{1..60},b-{1..60}", "names 120 apps"),
        ("towns,", "'' is no app's name"),
        ("Towns-{1..2}", "'Towns-1' is no app's name"),
        ("towns-1,towns-{1..2}", "names towns-1 twice"),
    ],
)
def test_a_senseless_setting_says_what_to_write(text: str, said: str) -> None:
    with pytest.raises(ValueError, match="GASTOWN_FLY_APP_NAME is ") as caught:
        apps_named(text)
    assert said in str(caught.value)
    with setting(text):
        assert configured() == ()
        assert app_for(uuid4()) == "", "a town is created all the same; its first call tells why"


def test_new_towns_are_spread_evenly() -> None:
    with setting("towns-{1..4}"):
        spread = Counter(app_for(UUID(int=number)) for number in range(400))
    assert spread == {f"towns-{number}": 100 for number in (1, 2, 3, 4)}


def test_a_plain_name_is_everybodys() -> None:
    with setting("towns"):
        assert {app_for(uuid4()) for _ in range(10)} == {"towns"}


@pytest.mark.parametrize("thing", ["machine_id", "volume_id"])
def test_who_has_a_machine_or_a_volume_stays_in_its_app(thing: str) -> None:
    town = Town(fly_app="towns-1", **{thing: "148e"})
    for value in ("towns-1", "towns-{1..8}", "others", "sense{less", ""):
        with setting(value):
            assert app_of(town) == "towns-1"


def test_who_has_neither_stays_while_its_app_is_named() -> None:
    town = Town(fly_app="towns-2")
    for value in ("towns-{1..2}", "towns-{1..8}", ""):
        with setting(value):
            assert app_of(town) == "towns-2"
    with setting("others"):
        assert app_of(town) == "others", "nothing of it is anywhere: it goes where new towns go"


def test_a_town_from_before_is_in_the_first_app() -> None:
    town = Town(machine_id="148e")
    with setting("towns,towns-{1..8}"):
        assert (app_of(town), presumed(app_of(town))) == ("", "towns")
