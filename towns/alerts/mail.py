"""Email: one message a recipient, over one connection for all of a round."""

import contextlib
import smtplib
from uuid import UUID

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend

from towns.alerts.letters import Letter
from towns.sending import SENT, Ending, Outcome

TEXT_LIMIT = 300


class Mailer:
    """Sends letters. The message id is the same at every try: mail programs drop or fold a repeat,
    which can't be excluded where a worker dies, or the server's last answer is lost."""

    def __init__(self) -> None:
        self._connection: BaseEmailBackend | None = None

    def send(self, letter: Letter, *, to: str, message_id: UUID) -> Outcome:
        """One try. Only what happens after the connection is open can leave a doubt."""
        try:
            connection = self._open()
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            why = f"The mail server can't be used: {_text(error)}"
            return Outcome(Ending.FAILED, why, channel_down=True)
        try:
            message = EmailMessage(
                letter.subject,
                letter.body,
                to=[to],
                headers={
                    "Message-ID": f"<{message_id}@{_domain()}>",
                    "Auto-Submitted": "auto-generated",
                },
                connection=connection,
            )
            message.send()
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()), (550, b"refused"))
            return _refusal(code, said, "The mail server refused the recipient")
        except smtplib.SMTPSenderRefused as error:
            why = f"The mail server refused our address {error.sender}: {_text(error)}"
            return Outcome(Ending.FAILED, why[:TEXT_LIMIT], channel_down=True)
        except smtplib.SMTPDataError as error:
            return _refusal(error.smtp_code, error.smtp_error, "The mail server refused the mail")
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            return Outcome(Ending.IN_DOUBT, f"The mail server went away: {_text(error)}")
        except ValueError as error:  # an address or a header that no mail can have
            return Outcome(Ending.REFUSED, f"No mail can be written to it: {_text(error)}")
        return SENT

    def close(self) -> None:
        """Say goodbye; whatever goes wrong in that changes nothing of what was sent."""
        if self._connection is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._connection.close()
        self._connection = None

    def _open(self) -> BaseEmailBackend:
        if self._connection is None:
            connection: BaseEmailBackend = get_connection()
            connection.open()
            self._connection = connection
        return self._connection


def _refusal(code: int, said: bytes | str, what: str) -> Outcome:
    """A 5xx is meant for good, a 4xx for now (RFC 5321, 4.2.1)."""
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    ending = Ending.REFUSED if 500 <= code < 600 else Ending.FAILED
    return Outcome(ending, f"{what}: {code} {text}"[:TEXT_LIMIT])


def _domain() -> str:
    address: str = settings.DEFAULT_FROM_EMAIL
    return address.rpartition("@")[2].strip(" >") or "localhost"


def _text(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        text = said.decode(errors="replace") if isinstance(said, bytes) else said
        return f"{error.smtp_code} {text}"[:TEXT_LIMIT]
    return (str(error) or type(error).__name__)[:TEXT_LIMIT]
