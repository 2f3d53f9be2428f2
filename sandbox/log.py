"""One line per event on stderr, with the secrets blotted out whatever a library puts in a text."""

import logging
import sys
import threading
import time
from collections.abc import Sequence


class _Redacting(logging.Formatter):
    """A formatter that leaves no secret in any line, tracebacks included."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime
        self._secrets = tuple(secrets)

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line


def _log_crash(crash: threading.ExceptHookArgs) -> None:
    """A thread's traceback goes through the log as well, and so past the blotting."""
    name = crash.thread.name if crash.thread else "a thread"
    error = crash.exc_value or crash.exc_type()
    logging.getLogger(__name__).critical("%s crashed", name, exc_info=error)


def set_up_logging(secrets: Sequence[str]) -> None:
    """Send the root logger to stderr at level INFO, never showing any of `secrets`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting(secrets))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    threading.excepthook = _log_crash
    for name in ("boto3", "botocore", "s3transfer", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
