"""The application as production serves it: uvicorn on a port, in a thread of the test's process so
that both have the same database."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gastown_ops.asgi import application

SOON = 30.0


@contextmanager
def serving() -> Iterator[str]:
    """The address at which it answers."""
    listening = socket.create_server(("127.0.0.1", 0))  # who comes too early waits in its queue
    config = uvicorn.Config(application, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listening],), name="uvicorn", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(SOON)
    assert not thread.is_alive(), "uvicorn does not end"
