"""A worker that is killed outright as soon as an operation has got to a step.

`python -m tests.e2e.doomed_worker STEP` drives operations; right after the row says that STEP is
next, and before anything of it is done, it sends itself SIGKILL.
"""

import os
import signal
import sys
from typing import Any

import django


def main(step: str) -> None:
    """Drive until the end has come; returns when nothing is due any more."""
    django.setup()
    from towns.flows.driver import drive
    from towns.flows.run import Run
    from towns.services import default_services

    save = Run.save_operation

    def save_and_die(run: Run, **fields: Any) -> None:
        save(run, **fields)
        if fields.get("step") == step:
            os.kill(os.getpid(), signal.SIGKILL)

    Run.save_operation = save_and_die  # type: ignore[method-assign, assignment]  # its only aim
    drive(default_services(), until_idle=5)


if __name__ == "__main__":
    main(sys.argv[1])
