"""S3 by moto, kept on disk: what was acknowledged is there after any end of the local cloud."""

import os
import threading
import time
from collections.abc import Callable, Iterable
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import create_backend_app
from moto.s3.models import s3_backends
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from .faults import Faults
from .options import BUCKET

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
_POLL = 0.1
_OPEN_CALLS = ("PUT", "POST", "DELETE")
_LIFECYCLE = "lifecycle.xml"


class Bucket:
    """A WSGI application. One request at a time: moto's memory is not made for more."""

    def __init__(self, directory: Path, faults: Faults) -> None:
        self._objects = directory / "s3" / "objects"
        self._lifecycle = directory / "s3" / _LIFECYCLE
        self._objects.mkdir(parents=True, exist_ok=True)
        self._faults = faults
        self._lock = threading.Lock()
        self._app = create_backend_app("s3")
        self._backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
        self._backend.create_bucket(BUCKET, "us-east-1")
        self._load()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, and keep what it changed before the answer leaves."""
        broken = self._pretend_outage()
        if broken == "close":
            _reset_connection(environ)
            return []
        if broken:
            start_response("503 Slow Down", [("content-type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code><Message>by localcloud ctl</Message></Error>"]
        status: list[str] = []

        def remember(line: str, headers: Any, *rest: Any) -> Any:
            status.append(line)
            return start_response(line, headers, *rest)

        with self._lock:
            body = _read_body(environ)
            answer = list(self._app(environ, remember))
            if environ["REQUEST_METHOD"] in _OPEN_CALLS and status and status[0][0] == "2":
                self._keep(environ, body)
        return answer

    def _pretend_outage(self) -> str | None:
        if self._faults.r2_delay:
            time.sleep(self._faults.r2_delay)
        outage = self._faults.r2_outage()
        if outage is None:
            return None
        while outage.mode == "hang" and self._faults.r2_outage() is not None:
            time.sleep(_POLL)
        return None if outage.mode == "hang" else outage.mode

    def _keep(self, environ: Environ, body: bytes) -> None:
        _, _, key = environ["PATH_INFO"].lstrip("/").partition("/")
        query = environ.get("QUERY_STRING", "")
        if not key:
            if query.startswith("lifecycle"):
                _write(self._lifecycle, body)
            elif query.startswith("delete"):
                self._drop_missing()
            return
        key = key.encode("latin-1").decode()  # as WSGI hands paths over
        found = self._backend.buckets[BUCKET].keys.get(key)
        if found is None:
            self._file(key).unlink(missing_ok=True)
        else:
            _write(self._file(key), found.value)

    def _drop_missing(self) -> None:
        known = set(self._backend.buckets[BUCKET].keys.keys())
        for file in self._objects.iterdir():
            if unquote(file.name) not in known:
                file.unlink(missing_ok=True)

    def _file(self, key: str) -> Path:
        return self._objects / quote(key, safe="")

    def _load(self) -> None:
        for file in sorted(self._objects.iterdir()):
            if file.name.endswith(".draft%"):
                file.unlink()
                continue
            self._backend.put_object(BUCKET, unquote(file.name), file.read_bytes())
        if self._lifecycle.exists():
            self._replay_lifecycle(self._lifecycle.read_bytes())

    def _replay_lifecycle(self, body: bytes) -> None:
        environ: Environ = {
            "REQUEST_METHOD": "PUT",
            "PATH_INFO": f"/{BUCKET}",
            "QUERY_STRING": "lifecycle",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "HTTP_HOST": "127.0.0.1",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.input": BytesIO(body),
            "wsgi.url_scheme": "http",
            "wsgi.errors": open(os.devnull, "w"),  # noqa: SIM115  (lives as long as the request)
        }

        def ignore(_: str, __: object, ___: object = None) -> Callable[[bytes], object]:
            return lambda _: None

        list(self._app(environ, ignore))


def _read_body(environ: Environ) -> bytes:
    """The body, which is put back for moto."""
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    body: bytes = b""
    if length:
        body = stream.read(int(length))
    elif environ.get("wsgi.input_terminated"):  # chunked: it ends by itself
        body = stream.read()
    environ["wsgi.input"] = BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    return body


def _write(file: Path, content: bytes) -> None:
    draft = file.with_name(f"{file.name}.draft%")
    with draft.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(draft, file)


def _reset_connection(environ: Environ) -> None:
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.close()


class _Quiet(WSGIRequestHandler):
    """Requests are of no interest."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


def bucket_server(port: int, bucket: Bucket) -> BaseWSGIServer:
    """Bound to 127.0.0.1 when made; raises OSError if the port is taken."""
    try:
        return make_server("127.0.0.1", port, bucket, threaded=True, request_handler=_Quiet)
    except SystemExit:  # how werkzeug says that a port is taken
        raise OSError(f"port {port} is in use") from None
