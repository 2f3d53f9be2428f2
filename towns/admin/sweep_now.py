"""Sweeping chosen towns from the admin."""

from collections.abc import Sequence

from django.http import HttpRequest

from towns.models import Town
from towns.services import Services


def sweep_now(req: HttpRequest, towns: Sequence[Town], services: Services) -> None:
    """Ask the chosen towns now how they are, and say what came of it."""
    raise NotImplementedError
