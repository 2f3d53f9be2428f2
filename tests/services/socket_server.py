"""A server on a free port that does with each connection what a test says."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Behaviour = Callable[[socket.socket, threading.Event], None]


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[str]:
    """Yields the server's address. `behaviour` gets the connection and the end of the test."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()
    threads = [threading.Thread(target=_accept, args=(listener, behaviour, over), daemon=True)]
    threads[0].start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        # Closing alone does not wake a thread that waits in accept.
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        threads[0].join(5)


def _accept(listener: socket.socket, behaviour: Behaviour, over: threading.Event) -> None:
    while not over.is_set():
        try:
            connection, _ = listener.accept()
        except OSError:  # the test is over
            return
        threading.Thread(target=_behave, args=(connection, behaviour, over), daemon=True).start()


def _behave(connection: socket.socket, behaviour: Behaviour, over: threading.Event) -> None:
    with connection:
        try:
            connection.recv(65536)
            behaviour(connection, over)
        except OSError:  # the client has gone, as it should
            return


def closed_port() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
