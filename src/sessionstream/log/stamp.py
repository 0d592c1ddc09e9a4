"""The stamp of a namespace: what it was made with, which its writers share, and its readers as far as that goes."""

from __future__ import annotations

from sessionstream.errors import NamespaceMismatch

__all__ = ["FORMAT", "is_encrypted_namespace", "require_keys", "require_same", "shape_of"]

FORMAT = 3
"""The version of the layout of keys, entries and scripts."""

# A process that knows nothing of encryption refuses a format that it does not know.
_ENCRYPTED = "+encrypted"
_ENCRYPTS = "it was made without encryption, and this process encrypts; rebuild with adopt=True to encrypt from now on"
_LACKS_KEYS = "what is written to it is encrypted: give this process encryption_key and key_store"


def shape_of(partitions: int, *, encrypted: bool) -> str:
    """Return how a stamp begins: all of it but the projections."""
    return f"format={FORMAT}{_ENCRYPTED if encrypted else ''} partitions={partitions} "


def is_encrypted_namespace(stamp: str) -> bool:
    """Whether what is written to a namespace of this stamp is encrypted."""
    return _words(stamp).get("format", "").endswith(_ENCRYPTED)


def require_same(namespace: str, found: str, ours: str, *, writing: bool) -> None:
    """Refuse a namespace that was made with what this process does not have.

    Args:
        namespace: its name.
        found: its stamp.
        ours: what a writer of this process needs.
        writing: whether it is to be written to. Who only reads need not have its projections, nor its keys.

    Raises:
        NamespaceMismatch: it is another one.
    """
    if writing and is_encrypted_namespace(found) != is_encrypted_namespace(ours):
        raise NamespaceMismatch(namespace, _LACKS_KEYS if is_encrypted_namespace(found) else _ENCRYPTS)
    theirs, own = _words(found), _words(ours)
    for words in (theirs, own):
        words["format"] = words.get("format", "").removesuffix(_ENCRYPTED)
    for name in ("format", "partitions", *(("projections",) if writing else ())):
        if theirs.get(name) != own[name]:
            advice = "; rebuild with adopt=True to change them" if name == "projections" else ""
            raise NamespaceMismatch(
                namespace, f"it was made with {name} {theirs.get(name)}, this process has {own[name]}{advice}"
            )
    # What a later version adds to the stamp is there to keep out whoever does not know it.
    if unknown := [f"{name}={value}" for name, value in theirs.items() if name not in own]:
        raise NamespaceMismatch(
            namespace, f"it was made with {' '.join(unknown)}, which this version does not know: a newer one is needed"
        )


def require_keys(namespace: str, found: str, ours: str) -> None:
    """Refuse to make a namespace that is encrypted one of plain text; raises `NamespaceMismatch`."""
    if is_encrypted_namespace(found) and not is_encrypted_namespace(ours):
        raise NamespaceMismatch(namespace, _LACKS_KEYS)


def _words(stamp: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in stamp.strip().split(" "))
