"""API keys: who asks, and how much they may."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from idmvton.errors import ConfigError, InputError
from idmvton.options import ServerOptions

LOCAL: Final = "local"
"""The caller where there are no keys."""
_PREFIX: Final = "idm_"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks.

    Attributes:
        name: callers with different names see nothing of each other.
        rate: requests in a minute.
        queue: jobs that may wait; None: the service's own number.
        priority: the highest that orders may have.
    """

    name: str
    rate: int
    queue: int | None = None
    priority: int = 10


class Keys:
    """The callers, by the hash of their key.

    Args:
        options: of the server.

    Raises:
        InputError: the file of keys cannot be read.
        ConfigError: it says something wrong, or there is none and the address is not this machine's own.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._local = Caller(LOCAL, options.rate)
        self._callers: dict[str, Caller] | None = None
        if options.keys is not None:
            self._callers = _read(Path(options.keys), options.rate)
        elif not is_own(options.host):
            raise ConfigError(
                "without keys the server listens on this machine's own address only",
                got=f"--host {options.host}",
                expected="127.0.0.1: anybody who reaches another address could use the server and see all pictures",
                fix="make a key: idmvton serve --make-key NAME --keys keys.toml",
            )
        self._buckets: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    @property
    def are_needed(self) -> bool:
        """Whether callers must bring one."""
        return self._callers is not None

    def caller(self, header: str | None) -> Caller | None:
        """Who brings an ``Authorization`` header; None where that is nobody who is known."""
        if self._callers is None:
            return self._local
        scheme, _, key = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not key:
            return None
        # of 256 random bits: a slow hash or a comparison in constant time would protect nothing more
        return self._callers.get(hashed(key.strip()))

    def seconds_to_wait(self, caller: Caller) -> float:
        """Counts a request; seconds until the next one is allowed, 0 where this one is."""
        now = time.monotonic()
        with self._lock:
            tokens, before = self._buckets.get(caller.name, (float(caller.rate), now))
            tokens = min(float(caller.rate), tokens + (now - before) * caller.rate / 60)
            if tokens < 1:
                self._buckets[caller.name] = (tokens, now)
                return (1 - tokens) * 60 / caller.rate
            self._buckets[caller.name] = (tokens - 1, now)
            return 0.0


def is_own(host: str) -> bool:
    """Whether an address is only reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def hashed(key: str) -> str:
    """What a file of keys holds of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


def make_key(name: str, file: Path) -> str:
    """Makes a key, writes its hash into a file, and returns it: it is nowhere else.

    Raises:
        InputError: the name cannot be used, or the file cannot be read or written.
    """
    if not name.isidentifier():
        raise InputError("the name of the key cannot be used", got=name, expected="letters, digits and _")
    if file.exists() and name in _tables(file):
        raise InputError(
            "there is a key with this name", got=name, fix=f"take it out of {file}, or choose another name"
        )
    key = _PREFIX + secrets.token_urlsafe(32)
    try:
        with file.open("a", encoding="utf-8") as opened:
            opened.write(f'\n[{name}]\nsha256 = "{hashed(key)}"\n')
        file.chmod(0o600)
    except OSError as error:
        raise InputError("the file of keys cannot be written", got=f"{file}: {error.strerror}") from error
    return key


def _tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            "the file of keys cannot be read", got=f"{file}: {error}", fix="make one: idmvton serve --make-key NAME"
        ) from error


def _read(file: Path, rate: int) -> dict[str, Caller]:
    callers = {}
    for name, table in _tables(file).items():
        known = {"sha256": str, "rate": int, "queue": int, "priority": int}
        bad = not isinstance(table, dict) or [
            each for each, value in table.items() if each not in known or not isinstance(value, known[each])
        ]
        if bad or len(table.get("sha256", "")) != 64:
            raise ConfigError(
                "the file of keys says something wrong",
                got=f"{file}: [{name}]",
                expected='sha256 = "64 digits", and rate, queue, priority as integers',
            )
        limits = {each: value for each, value in table.items() if each != "sha256"}
        callers[table["sha256"]] = Caller(name, **{"rate": rate, "priority": 0} | limits)
    if not callers:
        raise ConfigError("the file of keys is empty", got=file, fix=f"idmvton serve --make-key NAME --keys {file}")
    return callers
