"""Requests to addresses that callers name: photos to fetch and webhooks; internal addresses are refused.

A name is resolved once, every address that it has is checked, and the request goes to the address that was checked: a
name that changes its address in between gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Iterator
from typing import Any, Final

import httpx

from idmvton.errors import InputError

_SECONDS: Final = 10.0


def checked_url(url: str) -> httpx.URL:
    """An http(s) URL without credentials.

    Raises:
        InputError: it is none.
    """
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as error:
        raise InputError("a URL cannot be read", got=url[:120], expected="http(s)://HOST/...") from error
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.userinfo:
        raise InputError("a URL cannot be used", got=url[:120], expected="http(s)://HOST/..., without a password")
    return parsed


def check_public(url: str) -> None:
    """Makes sure that a URL leads to an address of the public internet.

    Raises:
        InputError: it does not.
    """
    _public_address(checked_url(url))


def _public_address(url: httpx.URL) -> str:
    try:
        found = socket.getaddrinfo(url.host, url.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError("the host of a URL is not known", got=url.host) from error
    addresses = [str(each[4][0]) for each in found]
    for address in addresses:
        ip = ipaddress.ip_address(address.partition("%")[0])
        ip = getattr(ip, "ipv4_mapped", None) or ip
        if not ip.is_global or ip.is_multicast:
            raise InputError("the address is internal", got=url.host, expected="an address of the public internet")
    return addresses[0]


@contextlib.contextmanager
def opened(method: str, url: str, *, internal: bool = False, **more: Any) -> Iterator[httpx.Response]:
    """One request; the body of its answer is still to come.

    Args:
        method: of HTTP.
        url: where to.
        internal: whether internal addresses are allowed.
        more: of :meth:`httpx.Client.stream`.

    Raises:
        InputError: the URL is not allowed.
        httpx.HTTPError: no answer.
    """
    target = checked_url(url)
    headers = dict(more.pop("headers", {})) | {"Host": target.netloc.decode()}
    direct = target if internal else target.copy_with(host=_public_address(target))
    names = {} if internal else {"sni_hostname": target.host}
    with (
        httpx.Client(timeout=_SECONDS, trust_env=False, follow_redirects=False) as client,
        client.stream(method, direct, headers=headers, extensions=names, **more) as response,
    ):
        yield response


def fetch(url: str, limit: int) -> bytes:
    """The content behind a URL of a public address.

    Args:
        url: http(s).
        limit: bytes.

    Raises:
        InputError: not allowed, not there, or too large.
    """
    found = bytearray()
    try:
        with opened("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise InputError("a URL has no picture", got=f"HTTP {response.status_code}")
            for block in response.iter_bytes():
                found += block
                if len(found) > limit:
                    raise InputError("what a URL leads to is too large", expected=f"at most {limit} bytes")
    except httpx.HTTPError as error:
        raise InputError("a URL does not answer", got=type(error).__name__) from error
    return bytes(found)
