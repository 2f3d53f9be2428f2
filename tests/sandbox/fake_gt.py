#!/usr/bin/env python3
"""Stands in for gt in the tests: makes a town's files, and writes down what it was asked.

`FAKE_GT_LOG` is the file of what was asked; a file `FAKE_GT_LOG.fail-{command}` makes a command
fail. `gt down --all` writes a last change into the town, which the last sync must hold.
"""

import json
import os
import sys
from pathlib import Path

LOG = Path(os.environ["FAKE_GT_LOG"])


def main() -> int:
    """Do as the first argument says."""
    command = sys.argv[1]
    secrets = sorted(name for name in os.environ if name.startswith("R2_") or "API_KEY" in name)
    with LOG.open("a") as log:
        entry = {"arguments": sys.argv[1:], "cwd": os.getcwd(), "secrets": secrets}
        log.write(json.dumps(entry) + "\n")
    if Path(f"{LOG}.fail-{command}").exists():
        print("fake gt was told to fail")
        return 1
    if command == "version":
        print("gt version 1.0.1 (dev: main@abc)")
    if command == "install":
        mayor = Path(sys.argv[2]) / "mayor"
        mayor.mkdir(parents=True, exist_ok=True)
        (mayor / "rigs.json").write_text('{"version": 1, "rigs": {}}')
        (mayor / "town.json").write_text('{"type": "town", "version": 2}')
    if command == "down":
        Path("config").mkdir(exist_ok=True)
        Path("config/after-down.txt").write_text("the end of the work")
    return 0


if __name__ == "__main__":
    sys.exit(main())
