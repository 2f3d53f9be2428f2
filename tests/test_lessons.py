"""Each defect that others paid for has its test here, named after its reference."""

import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
LESSONS = (
    ("Kilo", 1452),
    ("Kilo", 3113),
    ("2i2c", 2586),
    ("coder", 12012),
    ("coder", 12304),
    ("jupyterhub", 1498),
    ("daytona", 2852),
    ("coder", 15515),
    ("daytona", 5154),
    ("Kilo", 4902),
    ("Kilo", 3376),
    ("Kilo", 4349),
    ("Kilo", 4362),
    ("Kilo", 1653),
    ("Kilo", 3250),
    ("Kilo", 3403),
    ("Kilo", 1183),
    ("Kilo", 388),
    ("Kilo", 3212),
    ("Kilo", 588),
    ("Kilo", 1993),
    ("Kilo", 2703),
    ("Kilo", 1552),
    ("coder", 7615),
    ("coder", 12010),
    ("daytona", 2236),
    ("gitpod", 5005),
    ("kilocode", 6741),
    ("e2b", 1104),
    ("gitpod", 1270),
    ("gitpod", 4602),
    ("gitpod", 4991),
    ("gitpod", 4671),
    ("litestream", 582),
    ("litestream", 1164),
    ("litestream", 253),
    ("coder", 6166),
    ("coder", 20944),
    ("jupyterhub", 1600),
    ("jupyterhub", 1290),
    ("coder", 5003),
    ("coder", 4729),
    ("Diskerase", None),
)
"""GitHub issues and pull requests: `Kilo` is Kilo-Org/cloud, `2i2c` is 2i2c-org/infrastructure.
Diskerase is what Google's site reliability book tells of."""


@cache
def named() -> str:
    """The names of all tests, in lower case."""
    found: list[str] = []
    for path in sorted(TESTS.rglob("test_*.py")):
        if path != Path(__file__):
            found += re.findall(r"def (test_\w+)", path.read_text())
    return "\n".join(found).lower()


@pytest.mark.parametrize(("project", "number"), LESSONS)
def test_it_has_its_test(project: str, number: int | None) -> None:
    """By its name, as in `test_kilo_1452_…`."""
    name = project.lower() if number is None else rf"{project.lower()}_{number}(?!\d)"
    assert re.search(name, named()), f"no test is named after {project} #{number}"
