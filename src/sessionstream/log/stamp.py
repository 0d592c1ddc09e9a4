"""The mark of a namespace: with which layout, partitions and projections it was made, and whether it is encrypted."""

from __future__ import annotations

from collections.abc import Iterable

from sessionstream.errors import NamespaceMismatch
from sessionstream.projection import Projection

__all__ = ["FORMAT", "refuse_another", "stamp_of"]

FORMAT = 3
"""The version of the layout of keys, entries and scripts."""

_ENCRYPTED = "+encrypted"
_ENCRYPTS = "it was made without encryption, and this process encrypts; rebuild with adopt=True to encrypt from now on"
_LACKS_KEYS = "what is written to it is encrypted: give this process encryption_key and key_store"


def stamp_of(partitions: int, projections: Iterable[Projection], *, encrypts: bool) -> str:
    """Return what a namespace must have been made with for a process to write to it.

    Args:
        partitions: of the process.
        projections: that it runs inline, in their order.
        encrypts: whether it encrypts what it writes.
    """
    versions = ",".join(f"{projection.name}:{projection.version}" for projection in projections)
    # A process that knows nothing of encryption refuses a format that it does not know.
    layout = f"{FORMAT}{_ENCRYPTED}" if encrypts else f"{FORMAT}"
    return f"format={layout} partitions={partitions} projections={versions}"


def refuse_another(namespace: str, found: str, own: str, *, writing: bool) -> None:
    """Do nothing if a process may use a namespace.

    Args:
        namespace: its name.
        found: its mark.
        own: the process's.
        writing: whether it is about to write.

    Raises:
        NamespaceMismatch: the namespace was made with something else that matters.
    """
    theirs = dict(part.partition("=")[::2] for part in found.split(" "))
    ours = dict(part.partition("=")[::2] for part in own.split(" "))
    formats = [one.get("format", "") for one in (theirs, ours)]
    theirs["format"], ours["format"] = (one.removesuffix(_ENCRYPTED) for one in formats)
    if writing and formats[0] != formats[1] and theirs["format"] == ours["format"]:
        raise NamespaceMismatch(namespace, _ENCRYPTS if formats[1].endswith(_ENCRYPTED) else _LACKS_KEYS)
    for name in ("format", "partitions", *(("projections",) if writing else ())):
        if theirs.get(name) != ours[name]:
            advice = "; rebuild with adopt=True to change them" if name == "projections" else ""
            raise NamespaceMismatch(
                namespace, f"it was made with {name} {theirs.get(name)}, this process has {ours[name]}{advice}"
            )
    # What a later version adds to the mark is there to keep out whoever does not know it.
    if unknown := [f"{name}={value}" for name, value in theirs.items() if name not in ours]:
        raise NamespaceMismatch(
            namespace, f"it was made with {' '.join(unknown)}, which this version does not know: a newer one is needed"
        )
