"""What a town has to be after each request and each ending, by product.md section 3 alone.

Written against the tables of `expected`, and knows nothing of the code under test.
"""

from dataclasses import dataclass

from tests.properties.expected import (
    AFTERWARDS,
    BEGINS_WANTING,
    DURING,
    FAILED,
    RESTING,
    THEN,
    Answer,
    by_status,
    under_way,
)


@dataclass
class ModelTown:
    """A town as it should be. `name` and `until` only for the texts of refusals."""

    name: str
    status: str = "provisioning"
    wanted: str = "running"
    operation: str | None = "provision"
    before: str = "provisioning"
    deleted: bool = False
    expired: bool = False
    until: str = ""
    stopped_by: str = ""
    """What a sleeping or stopping town was stopped for: idle, person or nothing."""
    wished: bool = False
    """Whether somebody wanted something since the operation began."""
    backed_up: bool = False
    name_taken: bool = False

    failures: int = 0

    # Requests

    def ask(self, kind: str, *, idle: bool = False) -> Answer:
        """What is answered, and what the town is then. Reasons outside of the tables are `…`."""
        answer = self._answer(kind, idle=idle)
        if answer.begins:
            self._begin(kind)
        elif answer.wants is not None:
            self.wanted, self.wished = answer.wants, True
        if kind == "stop" and (answer.begins or answer.wants):
            self.stopped_by = "idle" if idle else "person"
        elif self.wanted == "running" and (answer.begins or answer.wants):
            self.stopped_by = ""
        return answer

    def _answer(self, kind: str, *, idle: bool) -> Answer:
        if self.operation is not None:
            answer = under_way(
                kind, self.operation, self.wanted, town=self.name, deleted=self.deleted
            )
            if idle and self.operation != "drill":
                return Answer(refused="…")
            if answer is not None:
                taken = kind == "restore" and answer.wants == "running" and self.name_taken
                return Answer(refused="…") if taken and self.deleted else answer
        asleep = (self.status, self.stopped_by) == ("stopped", "idle")
        if kind == "stop" and asleep and not idle:
            self.stopped_by = "person"
            return Answer(same=True)
        answer = by_status(kind, self.status, town=self.name, until=self.until)
        if kind == "restore" and self.deleted and (self.expired or self.name_taken):
            return Answer(refused="…")
        if kind == "drill" and answer.begins and not self.backed_up:
            return Answer(refused="…")
        return answer

    def visit(self) -> None:
        """Its owner comes: it wakes if it sleeps for being idle, or is about to."""
        idle = self.stopped_by == "idle" and not self.deleted
        asleep = self.status == "stopped" and self.operation in (None, "drill")
        if idle and (asleep or (self.operation == "stop" and self.wanted == "stopped")):
            self.ask("start")

    # Checks

    def check(self, result: str) -> None:
        """A health check: three failures in a row are unhealthy, a good one ends it. Whoever is
        owned by an operation, or isn't active, is not judged."""
        if self.operation not in (None, "drill") or self.status not in ("running", "unhealthy"):
            return
        if result == "ok":
            self.failures, self.status = 0, "running"
        elif result == "failed":
            self.failures += 1
            self.status = "unhealthy" if self.failures >= 3 else self.status

    # Endings

    def at_a_step_boundary(self) -> bool:
        """A destroy supersedes whatever runs; returns whether it has."""
        if self.wanted != "destroyed" or self.operation in (None, "destroy", "restore"):
            return False
        self._begin("destroy")
        return True

    def succeed(self) -> None:
        """The operation has done what it is for."""
        assert self.operation is not None
        ended = self.operation
        self.status, self.operation = THEN[ended] or self.status, None
        if THEN[ended] in ("running", "stopped"):
            self.failures = 0
        if ended != "drill":
            if self.status == "running":
                self.deleted = self.expired = False
                self.stopped_by = self.stopped_by if self.wanted == "stopped" else ""
            self._follow()

    def fail(self, *, called_off: bool = False) -> None:
        """It has failed, or was called off, which is a change of mind rather than a fault."""
        assert self.operation is not None
        ended = self.operation
        self.operation = None
        if ended == "drill":
            return
        rests = self.before if self.before in RESTING else "error"
        self.status = FAILED[ended] or rests
        if called_off and self._still_wants(ended):
            self._begin(ended)
            return
        if called_off and self.wanted == "running" and self.status == "error":
            self._begin("start")
            return
        self._give_up(ended)
        if self.wished and AFTERWARDS[self.status, self.wanted] != ended:
            self._follow()

    def hand_over(self) -> None:
        """The operation finds that the machine is lost: a recovery takes over, with the wishes."""
        wished = self.wished
        self._begin("recover", hands_over=True)
        self.wished = wished

    def _still_wants(self, ended: str) -> bool:
        if ended == "stop":
            return (self.wanted, self.stopped_by) == ("stopped", "person")
        return ended == "destroy" and self.wanted == "destroyed"

    def _give_up(self, ended: str) -> None:
        """What could not be had is wanted no more, or it would be tried for ever."""
        goal = {"stop": "stopped", "destroy": "destroyed", "restore": "running"}.get(ended)
        if self.wanted != goal:
            return
        if self.status == "destroyed":
            self.wanted = "destroyed"
        elif self.status == "stopped" or (ended, self.status) == ("stop", "error"):
            self.wanted = "stopped"
        else:
            self.wanted, self.stopped_by = "running", ""

    def _follow(self) -> None:
        kind = AFTERWARDS[self.status, self.wanted]
        if kind == "restore" and self.name_taken:
            self.wanted = "destroyed"
        elif kind is not None:
            self._begin(kind)

    def _begin(self, kind: str, *, hands_over: bool = False) -> None:
        self.before, self.operation, self.wished = self.status, kind, False
        self.status = DURING[kind] or self.status
        if not hands_over:
            self.wanted = BEGINS_WANTING[kind] or self.wanted
