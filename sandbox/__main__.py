"""`python -m sandbox`: the agent as a process. Exit codes: 0 drained, 1 failed, 2 bad settings."""

import logging
import os
import signal
import socket
import sys
import threading

from . import store
from .agent import Agent
from .api import Server
from .errors import SettingsError
from .gt import Gt
from .log import set_up_logging
from .settings import Settings, read_settings

logger = logging.getLogger("sandbox")


def main() -> int:
    """Start the API, then the agent's life; on SIGTERM or SIGINT drain and return."""
    try:
        settings = read_settings(os.environ)
    except SettingsError as error:
        print(f"sandbox: the environment is not complete: {error}", file=sys.stderr)
        return 2
    set_up_logging(settings.secrets)
    signals = _catch_signals()
    try:
        agent = _make_agent(settings)
        server = Server(agent)
    except (OSError, ValueError) as error:
        logger.error("can't start: %s", error)
        return 1
    threading.Thread(target=server.serve_forever, name="api", daemon=True).start()
    logger.info("town %s: the API answers on port %d", settings.town_id, server.server_port)
    return _live(agent, signals)


def _make_agent(settings: Settings) -> Agent:
    """Raises ValueError if R2_ENDPOINT is no URL."""
    r2 = store.connect(settings.r2) if settings.r2 else None
    gt = Gt(settings.gt_home, settings.gt_timeout, settings.dolt_port)
    return Agent(settings, r2, gt)


def _catch_signals() -> socket.socket:
    """Turn SIGTERM and SIGINT into bytes on a socket.

    The handler itself does nothing: setting an Event in it could wait for a lock that the
    interrupted code holds.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    return reader


def _live(agent: Agent, signals: socket.socket) -> int:
    """Run the agent until it has drained, or until the time for that is used up."""
    exit_codes: list[int] = []
    ended = threading.Event()

    def live() -> None:
        try:
            agent.run()
            exit_codes.append(0)
        finally:
            ended.set()
            # Wakes the main thread if the life ended without a signal, which is a bug.
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=live, name="agent", daemon=True).start()
    while not signals.recv(1):
        pass
    agent.stop()
    if not ended.wait(agent.settings.drain_timeout):
        logger.error("not drained within %g s: giving up", agent.settings.drain_timeout)
        return 1
    return exit_codes[0] if exit_codes else 1


if __name__ == "__main__":
    # Not sys.exit: a thread that hangs in a dead connection must not keep the machine from ending.
    code = main()
    logging.shutdown()
    os._exit(code)
