"""Refusals of the Machines API: code, text and status as in fly.md."""

from collections.abc import Mapping


class ApiError(Exception):
    """Answered as `{"error": text, "status": status}`; `status` may be left out."""

    def __init__(
        self,
        code: int,
        text: str,
        status: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.status = status
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, str]:
        """The answer's JSON."""
        return {"error": self.text, **({"status": self.status} if self.status else {})}


class Dropped(Exception):
    """The connection is closed without an answer, as by a host that is not there."""


def bad_request(text: str) -> ApiError:
    """400: the caller's mistake."""
    return ApiError(400, f"invalid_argument: {text}", "invalid_argument")


def not_found(what: str) -> ApiError:
    """404: the only proof of absence."""
    return ApiError(404, f"{what} not found", "not_found")


def precondition(text: str) -> ApiError:
    """412: not in the present state."""
    return ApiError(412, f"failed_precondition: {text}", "failed_precondition")
