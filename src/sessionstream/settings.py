"""What can be configured, by argument, or by environment variables that begin with ``SESSIONSTREAM_``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, InstanceOf, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sessionstream.errors import InvalidArgument
from sessionstream.redaction.rules import Redaction

__all__ = ["Settings", "checked_durability", "settings_from"]

_LEAST_KEY_BYTES = 32
_DURABILITY = re.compile(r"memory|process|fsync|replicated\([1-9][0-9]?\)")


def _strong(keys: SecretStr | None) -> SecretStr | None:
    """Return keys as given, none of which is so short that somebody could find it by trying."""
    for key in keys.get_secret_value().split(",") if keys is not None else ():
        if not key.isascii() or not key.isprintable():
            raise ValueError("a key is printable ASCII; `openssl rand -hex 32` makes one")
        if len(key) < _LEAST_KEY_BYTES:
            raise ValueError(
                f"a key has {len(key)} bytes, at least {_LEAST_KEY_BYTES} are needed; `openssl rand -hex 32` makes one"
            )
    return keys


def checked_durability(text: str | None) -> str | None:
    """Return the name of a durability as given; raises ValueError for what is none."""
    if text is not None and not _DURABILITY.fullmatch(text):
        raise ValueError(
            f"a durability is memory, process, fsync or replicated(n), such as replicated(2), not {text!r}"
        )
    return text


_Keys = Annotated[SecretStr | None, AfterValidator(_strong)]


class Settings(BaseSettings):
    """The settings of one store.

    Attributes:
        url: the server's; None is the embedded server.
        namespace: the key prefix under which the store lives.
        partitions: slices of the namespace, fixed when it is made; 64 or more for a cluster.
        folder: where the embedded server keeps its data; None is the user's data folder.
        ttl: seconds until a session expires, 0.001 to 100 years; None does not expire.
        extend_on: what renews the time to live: only ``refresh_session``, or every event that is appended.
        retention: seconds for which an ended session is kept; None is for ever, 0 removes it at the next occasion.
        archive: the folder into which an ended session is archived before it is removed; None archives nothing.
        keep_checkpoints: after a checkpoint is saved, so many of its session without a label are kept; None keeps all.
        feed_retention: seconds for which the feed is kept.
        max_event_bytes: the largest JSON of one event.
        max_checkpoint_bytes: the largest JSON of a checkpoint's data.
        deadline: seconds over all tries of one call.
        reply_timeout: seconds without a reply after which a connection counts as broken.
        allow_eviction: accept a server that could drop keys.
        durability: what an append is kept by before it is acknowledged, ``memory``, ``process``, ``fsync`` or
            ``replicated(n)``, and a server that cannot give it is refused; None takes the server as it is.
        allow_unchecked_durability: take your word for the durability where the server does not tell its configuration.
        redact: what is taken out before anything is encoded: a `Redaction`; True is the usual names of secrets, False
            and None are nothing.
        seal_key: the secret that seals are made with, at least 32 bytes; with it sessions are sealed by themselves.
        seal_keys_old: the secrets that it had before, separated by commas; what was sealed with them is verified still.
        encryption_key: the secret that users' data keys are wrapped with, at least 32 bytes; with it, what users say is
            stored encrypted.
        encryption_keys_old: the secrets that it had before, separated by commas; what was wrapped with them is read.
        key_store: the folder of the wrapped data keys, which must not lie where the server keeps its data.
    """

    model_config = SettingsConfigDict(
        env_prefix="SESSIONSTREAM_", env_ignore_empty=True, frozen=True, extra="forbid", allow_inf_nan=False
    )

    url: str | None = None
    namespace: str = "sessionstream"
    partitions: int = Field(default=16, ge=1, le=4096)
    folder: Path | None = None
    ttl: float | None = Field(default=None, ge=0.001, le=3_153_600_000)
    extend_on: Literal["refresh", "append"] = "refresh"
    retention: float | None = Field(default=30 * 86_400.0, ge=0)
    archive: Path | None = None
    keep_checkpoints: int | None = Field(default=None, ge=1)
    feed_retention: float = Field(default=7 * 86_400.0, gt=0)
    max_event_bytes: int = Field(default=1024 * 1024, ge=1)
    max_checkpoint_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    deadline: float = Field(default=15.0, gt=0)
    reply_timeout: float = Field(default=5.0, gt=0)
    allow_eviction: bool = False
    durability: Annotated[str | None, AfterValidator(checked_durability)] = None
    allow_unchecked_durability: bool = False
    redact: InstanceOf[Redaction] | bool | None = True
    seal_key: _Keys = None
    seal_keys_old: _Keys = None
    encryption_key: _Keys = None
    encryption_keys_old: _Keys = None
    key_store: Path | None = None


def settings_from(**given: Any) -> Settings:
    """Return the settings that the arguments give, and the environment where they are silent.

    Raises:
        InvalidArgument: one of them is malformed; all are named.
    """
    try:
        return Settings(**given)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)]
        raise InvalidArgument(f"settings: {'; '.join(problems)}") from None
