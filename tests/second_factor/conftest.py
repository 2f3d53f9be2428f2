"""What the tests of the second factor share."""

from tests.commands.conftest import call, world  # noqa: F401  (fixtures)
