"""What makes a method of a fake an external call: it is noted, and it may fail."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

from .faults import Faults

P = ParamSpec("P")
T = TypeVar("T")


class Service(Protocol):
    """A fake of a service."""

    service: str
    faults: Faults


S = TypeVar("S", bound=Service)


def external(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Note each call under `service.method`, and have the faults strike before and after it."""

    @wraps(method)
    def call(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        first = args[0] if args else ""
        subject = first if isinstance(first, str) else str(getattr(first, "name", ""))
        noted = self.faults.before(f"{self.service}.{method.__name__}", subject)
        result = method(self, *args, **kwargs)
        self.faults.after(noted)
        return result

    return cast(Callable[Concatenate[S, P], T], call)
