"""Arguments that are lists, paths, times or functions: what is none of these is refused before anything is done."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sessionstream.errors import InvalidArgument, InvalidType

__all__ = ["checked_flag", "checked_function", "checked_list", "checked_path", "checked_seconds"]


def checked_list(value: object, name: str) -> Iterable[Any]:
    """Return an iterable as given; raises `InvalidType` for what is none, and for one text or one class."""
    if isinstance(value, str | bytes | type) or not isinstance(value, Iterable):
        raise InvalidType(f"{name} is a list, not {value!r}")
    return value


def checked_path(value: object, name: str) -> Path:
    """Return a path, which a file need not be able to have; raises `InvalidType` for what is none."""
    if not isinstance(value, str | os.PathLike):
        raise InvalidType(f"{name} is a path, not a {type(value).__name__}")
    path = os.fspath(value)
    if not isinstance(path, str):
        raise InvalidType(f"{name} is a path of text, not of {type(path).__name__}")
    return Path(path)


def checked_seconds(value: object, name: str) -> float:
    """Return a number of seconds from 0 as given; raises `InvalidArgument` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidType(f"{name} is a number of seconds, not a {type(value).__name__}")
    if not 0 <= value <= 1e9 or math.isnan(value):
        raise InvalidArgument(f"{name} is {value}: seconds from 0 on are allowed")
    return value


def checked_flag(value: object, name: str) -> bool:
    """Return True or False as given; raises `InvalidType` for anything else."""
    if not isinstance(value, bool):
        raise InvalidType(f"{name} is True or False, not {value!r}")
    return value


def checked_function(value: Any, name: str) -> Any:
    """Return a function as given, or None; raises `InvalidType` for what cannot be called."""
    if value is not None and (isinstance(value, type) or not callable(value)):
        raise InvalidType(f"{name} is a function, not {value!r}")
    return value
