"""Webhooks: the end of a job is told to a URL, signed, and again with growing pauses until somebody takes it."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from pathlib import Path
from typing import Any, Final

import httpx

from idmvton.atomic import whole_file
from idmvton.engine.service import Service
from idmvton.engine.service.failures import UnknownJobError
from idmvton.errors import IdmVtonError, InputError
from idmvton.options import ServerOptions
from idmvton.server.addresses import opened
from idmvton.server.documents import Job

log: Final = logging.getLogger("idmvton.server")
SIGNATURE: Final = "Idmvton-Signature"
PAUSES: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""Seconds between one try and the next; after the last one it is given up."""
_HOLD: Final = 60.0
_LOOK: Final = 0.5


def signature(secret: bytes, when: int, body: bytes) -> str:
    """The value of the header: ``t=SECONDS,v1=HEX``, an HMAC-SHA256 of time, a dot and the body.

    Args:
        secret: that both sides know.
        when: seconds since 1970.
        body: as it is sent.
    """
    return f"t={when},v1={hmac.new(secret, f'{when}.'.encode() + body, hashlib.sha256).hexdigest()}"


def is_signed(secret: bytes, header: str, body: bytes, tolerance: float = 300.0) -> bool:
    """Whether a receiver may believe a webhook.

    Args:
        secret: that both sides know.
        header: the value of :data:`SIGNATURE`.
        body: as it came.
        tolerance: seconds that the signature may be old.
    """
    when, _, _ = header.removeprefix("t=").partition(",")
    if not when.isdigit() or abs(time.time() - int(when)) > tolerance:
        return False
    return hmac.compare_digest(signature(secret, int(when), body), header)


def secret_of(options: ServerOptions, state: Path) -> bytes:
    """The secret that signs webhooks, from its file; it is made where no file was named.

    Raises:
        InputError: the file that was named cannot be read, or is too short.
    """
    path = Path(options.webhook_secret) if options.webhook_secret else state / "webhook-secret"
    if options.webhook_secret is None and not path.exists():
        with whole_file(path, "the secret of the webhooks") as file:
            file.write(secrets.token_hex(32).encode())
        path.chmod(0o600)
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise InputError("the secret of the webhooks cannot be read", got=f"{path}: {error.strerror}") from error
    if len(secret) < 16:
        raise InputError("the secret of the webhooks is too short", got=f"{len(secret)} bytes", expected="at least 16")
    return secret


class Webhooks(threading.Thread):
    """Delivers webhooks.

    Args:
        service: whose jobs end.
        options: of the server.
        secret: signs them.
        pauses: between tries, seconds.
    """

    def __init__(
        self, service: Service, options: ServerOptions, secret: bytes, pauses: tuple[float, ...] = PAUSES
    ) -> None:
        super().__init__(name="webhooks", daemon=True)
        self.service, self.options, self.secret, self.pauses = service, options, secret, pauses
        self._over = threading.Event()

    def run(self) -> None:
        """Delivers what is due, until :meth:`end`."""
        while not self._over.wait(_LOOK):
            try:
                for row in self.service.journal.due_webhooks(_HOLD):
                    self._deliver(row)
            except IdmVtonError as error:
                log.error("webhooks: %s", error)
            except Exception:
                log.exception("webhooks")

    def end(self) -> None:
        """Stops."""
        self._over.set()

    def _deliver(self, row: Any) -> None:
        job, attempt = row["job"], row["attempts"]
        try:
            document = Job.of(self.service.view(job)).model_dump(mode="json")
        except UnknownJobError:  # erased: there is nothing to tell
            return
        body = json.dumps({"type": "job.finished", "job": document}).encode()
        now = int(time.time())
        headers = {"Content-Type": "application/json", SIGNATURE: signature(self.secret, now, body)}
        headers |= {"Idmvton-Delivery": f"{job}-{attempt + 1}"}
        try:
            internal = self.options.webhooks == "any"
            with opened("POST", row["url"], internal=internal, headers=headers, content=body) as response:
                code = response.status_code
            told = f"HTTP {code}"
            is_taken = 200 <= code < 300
        except (httpx.HTTPError, InputError) as error:
            told, is_taken = type(error).__name__, False
        if is_taken:
            self.service.journal.webhook_tried(job, "delivered", None)
        elif attempt < len(self.pauses):
            self.service.journal.webhook_tried(job, "waiting", time.time() + self.pauses[attempt])
        else:
            self.service.journal.webhook_tried(job, "given up", None)
        log.info("webhook of job %s: %s, try %d", job, told, attempt + 1, extra={"job": job})
