"""URLs of a primary that sentinels watch: ``redis+sentinel://user:password@host:26379,host:26379/name/0?options``."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

import redis.asyncio
from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.sentinel import Sentinel

from sessionstream.wire.cluster.redirections import Address

__all__ = ["SCHEMES", "client_of"]

SCHEMES = ("redis+sentinel", "rediss+sentinel", "valkey+sentinel", "valkeys+sentinel")
_PORT = 26379
# What the sentinels are reached by as the primary is, and what the URL says of them alone.
_SHARED = ("ssl", "socket_")
_OWN = {"sentinel_username": "username", "sentinel_password": "password"}


def client_of(url: str) -> redis.asyncio.Redis:
    """Return redis-py's client of the primary; nothing is sent.

    The user and the password are the primary's. The options are those of redis-py's URLs, and ``sentinel_username`` and
    ``sentinel_password``, where the sentinels ask for these; TLS is for both.

    Args:
        url: one of ``SCHEMES``, the sentinels with commas between them, the name by which they know the primary, and
            if it is not 0 the database.

    Raises:
        ValueError: it is malformed.
    """
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, database = parts.path.removeprefix("/").partition("/")
    if not name:
        raise ValueError(f"the name of the primary is missing: {parts.scheme}://host:26379,host:26379/name")
    if database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"{database!r} is no number of a database")
    settings, own = _settings(parts, user, database)
    shared = {key: value for key, value in settings.items() if key.startswith(_SHARED)}
    sentinels = [_address(host) for host in hosts.split(",")]
    watching = Sentinel(sentinels, sentinel_kwargs=shared | own, **settings)  # type: ignore[no-untyped-call]
    client: redis.asyncio.Redis = watching.master_for(unquote(name))
    return client


def _settings(parts: SplitResult, user: str, database: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the settings of connections to the primary, and what is said of the sentinels alone."""
    options = parse_qsl(parts.query, keep_blank_values=True)
    own = {_OWN[key]: value for key, value in options if key in _OWN}
    rest = urlencode([(key, value) for key, value in options if key not in _OWN])
    scheme = "rediss" if parts.scheme.startswith(("rediss", "valkeys")) else "redis"
    settings: dict[str, Any] = dict(parse_url(f"{scheme}://{user}{'@' if user else ''}primary/{database}?{rest}"))
    del settings["host"]
    if settings.pop("connection_class", None) is SSLConnection:
        settings["ssl"] = True
    return settings, own


def _address(text: str) -> Address:
    place = urlsplit(f"//{text}")
    if not place.hostname:
        raise ValueError("a sentinel has no host")
    return place.hostname, place.port or _PORT
