"""The user's own projections, by the names of their modules."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

from sessionstream.errors import InvalidArgument
from sessionstream.projection import Projection

__all__ = ["load_projections"]


def load_projections(names: Sequence[str]) -> list[Projection]:
    """Return the projections that ``module:name`` say, each of which is one or a sequence of them.

    Modules are looked for in the present folder too.

    Raises:
        InvalidArgument: there is no such module or name, or it holds no projection.
    """
    if names and (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    return [projection for name in names for projection in _load(name)]


def _load(text: str) -> Sequence[Projection]:
    module, colon, name = text.partition(":")
    if not (module and colon and name):
        raise InvalidArgument(f"--projections: {text!r} is not MODULE:NAME")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InvalidArgument(f"--projections {text}: {error}") from None
    listed = [found] if isinstance(found, Projection) else found
    if not isinstance(listed, list | tuple) or not all(isinstance(one, Projection) for one in listed):
        raise InvalidArgument(f"--projections {text}: it is neither a Projection nor a list of them")
    return listed
