"""`Ctl`: what `python -m localcloud ctl` can do, for programs."""

import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import Any


class CtlError(Exception):
    """The local cloud refused, or did not answer; the text is one line."""


class Ctl:
    """Talks to the local cloud at `url` (`http://127.0.0.1:4280`). Methods raise CtlError.

    `machine` is an id, or a part of a name, town or volume that only one machine has.
    """

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def ask(self, what: str, /, **body: Any) -> Any:
        """Any command, with the fields of its body; returns the answer's document."""
        request = urllib.request.Request(
            f"{self._url}/_ctl/{what}",
            data=json.dumps(body).encode(),
            headers={
                "authorization": f"Bearer {self._token}",
                "content-type": "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=90) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise CtlError(_text_of(error)) from None
        except OSError as error:
            reason = getattr(error, "reason", error)
            raise CtlError(f"no local cloud answers at {self._url} ({reason})") from None

    def status(self) -> dict[str, Any]:
        """Machines, volumes and faults."""
        found: dict[str, Any] = self.ask("status")
        return found

    def kill(self, machine: str, *, down: bool = False) -> None:
        """As a power cut: everything in it is gone at once. `down`: and Fly leaves it stopped."""
        self.ask("kill", machine=machine, down=down)

    def destroy(self, machine: str) -> None:
        """The machine vanishes: 404 from now on."""
        self.ask("destroy", machine=machine)

    def lose_volume(self, volume: str) -> None:
        """The volume vanishes, and the machine on it."""
        self.ask("lose-volume", volume=volume)

    def hang(self, machine: str) -> None:
        """Its sandbox is connected to, and never answers."""
        self.ask("hang", machine=machine)

    def refuse(self, machine: str, how: str = "refuse") -> None:
        """Its sandbox breaks connections, or answers forbidden, error or garbage."""
        self.ask("refuse", machine=machine, how=how)

    def slow(self, machine: str, seconds: float) -> None:
        """Its sandbox answers after a while."""
        self.ask("slow", machine=machine, seconds=seconds)

    def mend(self, machine: str) -> None:
        """The way to its sandbox is free again."""
        self.ask("mend", machine=machine)

    def fly_down(self, mode: str = "503", seconds: float | None = None) -> None:
        """Fly's API is down: 503, close or hang."""
        self.ask("fly", **{"down": True, "mode": mode, "for": seconds})

    def fly_up(self) -> None:
        """Fly's API is back."""
        self.ask("fly", down=False)

    def r2_down(self, mode: str = "503", seconds: float | None = None) -> None:
        """R2 is down: 503, close or hang."""
        self.ask("r2", **{"down": True, "mode": mode, "for": seconds})

    def r2_up(self) -> None:
        """R2 is back."""
        self.ask("r2", down=False)

    def fail(self, action: str, *, code: int = 500, when: str = "before", count: int = 1) -> None:
        """The next calls of an action fail, before or after their effect; code 0 breaks the
        connection."""
        self.ask("fail", action=action, code=code, when=when, count=count)

    def refuse_token(self, code: int = 401, *, app: str = "") -> None:
        """The token is refused, by all apps or by one."""
        self.ask("token", code=code, app=app)

    def accept_token(self, *, app: str = "") -> None:
        """The token is good again."""
        self.ask("token", app=app)

    def app_gone(self, app: str) -> None:
        """Fly knows no such app any more."""
        self.ask("app", app=app, gone=True)

    def app_back(self, app: str) -> None:
        """Fly knows it again."""
        self.ask("app", app=app, gone=False)

    def no_capacity(self, *kinds: str) -> None:
        """No room for machines, start or volumes; for none of them: there is room."""
        self.ask("capacity", none=list(kinds))

    def reset(self) -> None:
        """Nothing is broken any more (what is lost stays lost)."""
        self.ask("reset")

    def execute(self, machine: str, command: Sequence[str]) -> str:
        """Run a command in a machine; its stdout, or CtlError with what it said."""
        done = self.ask("exec", machine=machine, command=list(command))
        if done["exit_code"]:
            said = (done["stderr"] or done["stdout"]).strip()
            raise CtlError(f"{command[0]} ended with exit code {done['exit_code']}: {said}")
        return str(done["stdout"])

    def write(self, machine: str, name: str, text: str) -> None:
        """Have something written in the town, as an agent would."""
        self.execute(machine, ["gt", "standin", "write", name, text])

    def read(self, machine: str, name: str) -> str:
        """What is written in the town."""
        return self.execute(machine, ["gt", "standin", "read", name]).rstrip("\n")

    def polecat(self, machine: str, name: str, how: str) -> None:
        """Have a polecat work, be idle, or end."""
        self.execute(machine, ["gt", "standin", "polecat", name, how])


def _text_of(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code}"
