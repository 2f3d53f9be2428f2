"""Reads the small JSON files that gastown keeps, without trusting them."""

import json
from collections.abc import Mapping
from pathlib import Path


def read_object(path: Path) -> Mapping[str, object] | None:
    """The JSON object in a file; None if it is missing, being written, or something else."""
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return values if isinstance(values, dict) else None
