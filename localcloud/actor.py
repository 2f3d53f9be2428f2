"""The life of one machine: its jobs, one after the other, in a thread of its own.

The API sets the passing state and hands over a job; only jobs start and end the process. A job
waits (for the latency, for a process to end) without holding the state's lock.
"""

import logging
import queue
import shutil
import signal
import threading
from collections.abc import Callable
from typing import Protocol

from . import environment, processes
from .options import Options
from .process import Process
from .records import Machine
from .restarts import StopRequest, exit_request, may_restart
from .standin.sockets import remove_socket
from .state import State

log = logging.getLogger(__name__)
Job = Callable[[], None]
_LEADS_TO = {
    "started": ("starting", "restarting", "replacing"),
    "stopped": ("stopping", "replacing"),
    "suspended": ("suspending",),
    "destroyed": ("destroying",),
}


class Host(Protocol):
    """What an actor needs to know of the fleet."""

    options: Options
    state: State
    run: str
    closing: threading.Event

    def claim_ports(self, machine: Machine) -> None:
        """Give the machine ports that nobody uses."""


class Actor:
    """One machine's. Methods but `do` and `process` are jobs: they run in its thread."""

    def __init__(self, machine_id: str, host: Host) -> None:
        self.id = machine_id
        self.process: Process | None = None
        self._host = host
        self._state = host.state
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        threading.Thread(target=self._live, name=f"machine-{machine_id}", daemon=True).start()

    def do(self, *jobs: Job | None) -> None:
        """Have jobs done, in this order; None is the last one ever."""
        for job in jobs:
            self._jobs.put(job)

    def boot(self) -> None:
        """starting -> started, or failed with the reason in an event."""
        self._pause()
        with self._state.changing():
            machine = self._state.machines.get(self.id)
            if machine is None or machine.state not in _LEADS_TO["started"]:
                return
            problem = self._problem_of(machine)
            if problem:
                self._fail(machine, problem)
                return
            self._host.claim_ports(machine)
        self._spawn(machine)

    def resume(self) -> None:
        """Go on where a suspended machine was."""
        self._pause()
        if self.process is None:
            self.boot()
            return
        self.process.signal_all(signal.SIGCONT)
        self._arrive("started", "start")

    def halt(self, request: StopRequest, arrive_at: str | None = "stopped") -> None:
        """End the process; the machine stops, or goes on to another job (None)."""
        if request.latency:
            self._pause()
        process = self.process
        if process is not None:
            process.signal_all(signal.SIGCONT)  # one that is suspended hears no signal
            process.end(request.signal, request.timeout)
            self._forget(process, requested=True)
        if arrive_at is not None:
            self._arrive(arrive_at, "stop")

    def suspend(self) -> None:
        """suspending -> suspended."""
        self._pause()
        if self.process is not None:
            self.process.signal_all(signal.SIGSTOP)
        self._arrive("suspended", "suspend")

    def destroy(self) -> None:
        """destroying -> destroyed; the volume stays, and is free."""
        self.halt(StopRequest(signal.SIGKILL, 0), arrive_at=None)
        self._pause()
        shutil.rmtree(self._state.machine_dir(self.id) / "rootfs", ignore_errors=True)
        with self._state.changing():
            for volume in self._state.volumes.values():
                if volume.attached_machine_id == self.id:
                    volume.attached_machine_id = None
        self._arrive("destroyed", "destroy")

    def _live(self) -> None:
        while (job := self._jobs.get()) is not None:
            if self._host.closing.is_set():
                continue
            try:
                job()
            except Exception:
                log.exception("machine %s: a job failed", self.id)

    def _pause(self) -> None:
        self._host.closing.wait(self._host.options.latency)

    def _problem_of(self, machine: Machine) -> str | None:
        for volume_id in machine.volume_ids:
            if volume_id not in self._state.volumes:
                return f"volume {volume_id} not found: its host is unreachable"
        return None

    def _fail(self, machine: Machine, problem: str) -> None:
        machine.set_state("failed")
        machine.add_event("start", "failed", error=problem)

    def _spawn(self, machine: Machine) -> None:
        host = self._host
        # The root file system is lost at each start, as on Fly: only the volume lasts.
        shutil.rmtree(self._state.machine_dir(self.id) / "rootfs", ignore_errors=True)
        with self._state.reading():
            env = environment.environment_of(machine, self._state, host.options, host.run)
            home = environment.home_of(machine, self._state)
        home.mkdir(parents=True, exist_ok=True)
        marked = processes.marks(host.options.directory, run=host.run, machine=self.id)
        logfile = self._state.machine_dir(self.id) / "log"
        if host.closing.is_set():
            return
        try:
            command = host.options.machine_command
            self.process = Process(command, env, marked, logfile, self._on_exit)
        except OSError as error:
            with self._state.changing():
                self._fail(machine, f"the machine's process can't be started: {error}")
            return
        self._arrive("started", "start")

    def _arrive(self, state: str, event: str) -> None:
        """Reach a lasting state, unless something else was asked of the machine meanwhile."""
        with self._state.changing():
            machine = self._state.machines.get(self.id)
            if machine is not None and machine.state in _LEADS_TO[state]:
                machine.set_state(state)
                machine.add_event(event, state)

    def _on_exit(self, process: Process) -> None:
        self.do(lambda: self._exited(process))

    def _exited(self, process: Process) -> None:
        """The process ended without being told to: the restart policy decides."""
        if self.process is not process:
            return
        self._forget(process, requested=False)
        job: Job | None
        with self._state.changing():
            machine = self._state.machines.get(self.id)
            if machine is None or machine.state != "started":
                return
            if may_restart(machine, process.exit_code):
                machine.restart_count += 1
                machine.set_state("starting")
                machine.add_event("restart", "starting")
                job = self.boot
            elif machine.config.get("auto_destroy"):
                machine.set_state("destroying")
                job = self.destroy
            else:
                machine.set_state("stopped")
                job = None
        if job is not None:
            job()

    def _forget(self, process: Process, *, requested: bool) -> None:
        self.process = None
        with self._state.changing():
            machine = self._state.machines.get(self.id)
            if machine is None:
                return
            home = environment.home_of(machine, self._state)
            machine.port = machine.dolt_port = 0
            request = exit_request(machine, process.exit_code, requested=requested)
            machine.add_event("exit", "stopped", request=request)
        # On Fly it would vanish with the machine's /tmp.
        remove_socket(home)
