"""All machines of the local cloud: their actors, and how the whole is started and ended."""

import logging
import secrets
import shutil
import signal
import sys
import threading
import time

from . import environment, processes
from .actor import Actor
from .options import Options
from .process import bound_log
from .records import GOING, RUNNING, Machine
from .restarts import StopRequest
from .state import State

log = logging.getLogger(__name__)
_LOG_PERIOD = 60.0


class Fleet:
    """Thread-safe. `run` names this run of the local cloud in the marks of its processes."""

    def __init__(self, options: Options, state: State) -> None:
        self.options = options
        self.state = state
        self.run = secrets.token_hex(8)
        self.closing = threading.Event()
        self._actors: dict[str, Actor] = {}
        self._actors_lock = threading.Lock()

    def actor(self, machine_id: str) -> Actor:
        """The actor of a machine."""
        with self._actors_lock:
            found = self._actors.get(machine_id)
            if found is None:
                found = self._actors[machine_id] = Actor(machine_id, self)
            return found

    def claim_ports(self, machine: Machine) -> None:
        """To be called inside `changing`. New ones at each start: the old may be taken by now."""
        taken = {one.port for one in self.state.machines.values()}
        taken |= {one.dolt_port for one in self.state.machines.values()}
        machine.port = environment.free_port(taken)
        machine.dolt_port = environment.free_port(taken | {machine.port})

    def port_of(self, machine_id: str) -> int | None:
        """Where its sandbox would answer; None if the machine is no reachable host now."""
        with self.state.reading():
            machine = self.state.machines.get(machine_id)
            if machine is None or machine.state in ("suspended", "destroyed"):
                return None
            return machine.port or None

    def pid_of(self, machine_id: str) -> int | None:
        """Its first process."""
        with self._actors_lock:
            actor = self._actors.get(machine_id)
        process = actor.process if actor else None
        return process.pid if process else None

    def kill(self, machine_id: str) -> bool:
        """Kill the machine at once, as a power cut would. False if it had no process."""
        process = self.actor(machine_id).process
        if process is None:
            return False
        process.kill()
        return True

    def use_up_restarts(self, machine_id: str) -> None:
        """Have Fly not start it again by itself at its next end: its retries are used up."""
        with self.state.changing():
            machine = self.state.machine(machine_id)
            machine.set_state(machine.state)
            machine.restart_count = sys.maxsize

    def forget(self, machine_id: str) -> None:
        """End the actor of a machine that is no more; its process is killed first."""
        actor = self.actor(machine_id)
        self.kill(machine_id)
        actor.do(lambda: actor.halt(StopRequest(signal.SIGKILL, 0), None), None)
        with self._actors_lock:
            self._actors.pop(machine_id, None)

    def pick_up(self) -> None:
        """After a start: what ran runs again, and what was going away goes."""
        processes.kill_all(processes.marks(self.options.directory))
        threading.Thread(target=self._keep_logs_short, name="logs", daemon=True).start()
        with self.state.changing():
            for machine in self.state.machines.values():
                machine.port = machine.dolt_port = 0
                if machine.state in RUNNING:
                    machine.set_state("starting")
                    self.actor(machine.id).do(self.actor(machine.id).boot)
                elif machine.state == "destroying":
                    self.actor(machine.id).do(self.actor(machine.id).destroy)
                elif machine.state in ("stopping", "suspending", "suspended"):
                    machine.set_state("stopped")
            going = [one.id for one in self.state.volumes.values() if one.state in GOING]
        for volume_id in going:
            self.drop_volume(volume_id)

    def drop_volume(self, volume_id: str) -> None:
        """The record and the files, at once."""
        with self.state.changing():
            self.state.volumes.pop(volume_id, None)
        folder = self.state.volume_dir(volume_id).parent
        # First aside in one step: whoever looks sees all of it or nothing.
        aside = folder.with_name(f"{volume_id}.gone")
        try:
            folder.rename(aside)
        except FileNotFoundError:
            return
        shutil.rmtree(aside, ignore_errors=True)

    def destroy_volume_later(self, volume_id: str) -> None:
        """scheduling_destroy -> destroying -> gone."""

        def go() -> None:
            self.closing.wait(self.options.latency)
            with self.state.changing():
                if volume_id in self.state.volumes:
                    self.state.volumes[volume_id].state = "destroying"
            if not self.closing.wait(self.options.latency):
                self.drop_volume(volume_id)

        threading.Thread(target=go, name=f"destroy-{volume_id}", daemon=True).start()

    def close(self) -> None:
        """End every process: asked first, for `grace` seconds, then killed."""
        self.closing.set()
        running = [actor.process for actor in self._all() if actor.process is not None]
        deadline = time.monotonic() + self.options.grace
        if self.options.grace > 0:
            for process in running:
                process.signal_all(signal.SIGCONT)
                process.send(signal.SIGTERM)
            for process in running:
                process.exited.wait(max(0.0, deadline - time.monotonic()))
        if not processes.kill_all(processes.marks(self.options.directory)):
            log.error("some processes of %s can't be killed", self.options.directory)

    def _all(self) -> list[Actor]:
        with self._actors_lock:
            return list(self._actors.values())

    def _keep_logs_short(self) -> None:
        while not self.closing.wait(_LOG_PERIOD):
            for actor in self._all():
                bound_log(self.state.machine_dir(actor.id) / "log")
