"""Tells the control plane of each snapshot. It only hints: the control plane believes R2."""

import json
import logging
import urllib.error
import urllib.request
from http.client import HTTPException, HTTPMessage
from typing import IO

from . import clock
from .settings import Settings
from .sync import Synced

logger = logging.getLogger(__name__)

PATH = "/api/gastown/heartbeat"
_TIMEOUT = 5.0


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key is for the control plane alone, not for where it may redirect to."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


_opener = urllib.request.build_opener(_NoRedirect)


def send_heartbeat(settings: Settings, synced: Synced) -> bool:
    """POST the snapshot to the control plane. False, and a line in the log, if that failed."""
    if not settings.control_plane_url:
        return False
    body = {
        "town_id": settings.town_id,
        "snapshot": synced.snapshot,
        "generation": synced.generation,
        "files": synced.files,
        "bytes": synced.bytes,
        "created_at": clock.iso(synced.created_at),
        "held": synced.held is not None,
    }
    try:
        request = urllib.request.Request(
            settings.control_plane_url + PATH,
            data=json.dumps(body).encode(),
            headers={"content-type": "application/json", "x-internal-api-key": settings.api_key},
            method="POST",
        )
        with _opener.open(request, timeout=_TIMEOUT):
            return True
    except (OSError, HTTPException, ValueError) as error:
        logger.warning("the control plane did not take the heartbeat: %s", error)
        return False
