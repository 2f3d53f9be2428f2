"""Log lines."""

import io
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.factories import make_operation, make_town
from tests.world import World
from towns.flows.engine import run_claimed
from towns.logs import AddIds, about, logging_settings
from towns.words import OperationKind


def formatter_of(form: str) -> logging.Formatter:
    """The formatter as Django makes it."""
    settings = logging_settings(level="INFO", form=form)
    configurator = logging.config.DictConfigurator(settings)
    made: logging.Formatter = configurator.configure_formatter(dict(settings["formatters"][form]))
    return made


@contextmanager
def written(form: str) -> Iterator[io.StringIO]:
    """What the logger `a.test` writes in a form."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(AddIds())
    handler.setFormatter(formatter_of(form))
    logger = logging.getLogger("a.test")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        yield stream
    finally:
        logger.removeHandler(handler)


def test_a_line_says_what_it_is_about() -> None:
    with written("line") as stream, about(town="t1"), about(operation="o1"):
        logging.getLogger("a.test").warning("it %s", "failed")
    assert stream.getvalue().endswith("WARNING a.test town=t1 operation=o1 it failed\n")


def test_json_has_the_ids_as_fields_of_their_own() -> None:
    with written("json") as stream:
        with about(town="t1", operation="o1"):
            logging.getLogger("a.test").warning("it failed")
        logging.getLogger("a.test").info("later", extra={"host": "h1"})
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", first.pop("time"))
    assert first == {
        "level": "WARNING",
        "logger": "a.test",
        "message": "it failed",
        "town": "t1",
        "operation": "o1",
    }
    assert second.pop("time")
    assert second == {"level": "INFO", "logger": "a.test", "message": "later", "host": "h1"}


@pytest.mark.parametrize(
    ("created", "told"),
    [(0, "1970-01-01T00:00:00.000Z"), (1700000000.9876, "2023-11-14T22:13:20.987Z")],
)
def test_json_tells_the_time_in_utc_with_milliseconds(created: float, told: str) -> None:
    record = logging.makeLogRecord({"created": created, "msg": "it failed"})
    assert json.loads(formatter_of("json").format(record))["time"] == told


def test_a_server_s_own_records_are_ours_too() -> None:
    """Django, uvicorn and gunicorn have set up their loggers before they load us."""
    names = ("django", "uvicorn", "uvicorn.access", "uvicorn.error", "gunicorn.error")
    before = {name: vars(logging.getLogger(name)).copy() for name in names}
    servers = [logging.getLogger(name) for name in names]
    try:
        for logger in servers:
            logger.handlers, logger.propagate = [logging.NullHandler()], False
        settings = logging_settings(level="INFO", form="json")
        logging.config.dictConfig({**settings, "root": {}})
        assert all(logger.propagate and not logger.handlers for logger in servers)
    finally:
        for logger in servers:
            vars(logger).update(before[logger.name])


def test_an_error_keeps_its_traceback() -> None:
    with written("json") as stream:
        try:
            raise ValueError("no")
        except ValueError:
            logging.getLogger("a.test").exception("it failed")
    assert "ValueError: no" in json.loads(stream.getvalue())["exc_info"]


@pytest.mark.parametrize("form", ["line", "json"])
def test_the_settings_are_those_of_logging(form: str) -> None:
    logging.config.DictConfigurator(logging_settings(level="INFO", form=form))


@pytest.mark.parametrize(("level", "expected"), [("DEBUG", "INFO"), ("ERROR", "ERROR")])
def test_what_tells_whole_addresses_is_never_at_debug(level: str, expected: str) -> None:
    told = logging_settings(level=level, form="line")["loggers"]
    assert {told[name]["level"] for name in ("urllib3", "botocore", "boto3")} == {expected}


@pytest.mark.django_db
def test_what_a_flow_logs_is_about_its_town_and_operation(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = make_operation(make_town(), OperationKind.START)
    seen: dict[str, str] = {}

    def note(*_: object) -> bool:
        record = logging.makeLogRecord({})
        AddIds().filter(record)
        seen.update(town=vars(record)["town"], operation=vars(record)["operation"])
        return False

    monkeypatch.setattr("towns.flows.engine._advance", note)
    run_claimed(operation, World().services)
    assert seen == {"town": str(operation.town_id), "operation": str(operation.pk)}
