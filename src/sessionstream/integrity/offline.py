"""Verifying evidence: from the file alone, without a server, and without what speaks to one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sessionstream.errors import InvalidEvidence
from sessionstream.events.raw import bytes_of
from sessionstream.events.recorded import NOWHERE, version_of
from sessionstream.integrity.anchors import Anchor, read_anchor
from sessionstream.integrity.chain import told_trim
from sessionstream.integrity.checking import HistoryCheck
from sessionstream.integrity.folding import Folded, body_problem, saved_checkpoints, unlocked_fields
from sessionstream.integrity.keyring import Keyring
from sessionstream.integrity.lines import LinesReader
from sessionstream.integrity.outside import check_anchor
from sessionstream.integrity.reporting import Claim, Finding, Kind, Verification, claim, history_claims, judged
from sessionstream.projections import BUILT_IN

__all__ = ["Evidence", "verify_evidence"]

_LOGS_OWN = (b"offset",)
_OFFSET = re.compile(r"[0-9]{1,20}-[0-9]{1,20}\Z")


class Evidence(NamedTuple):
    """What a file of evidence says, verified.

    Attributes:
        namespace: where the session was kept.
        at: when the file was written, in milliseconds since 1970, by the server's clock.
        verification: what was found, and what could be checked.
    """

    namespace: str
    at: int
    verification: Verification


def verify_evidence(path: Path | str, keyring: Keyring, *, anchor: Path | str | None = None) -> Evidence:
    """Verify a file of evidence, and return what it says.

    Args:
        path: the file.
        keyring: the keys.
        anchor: what was known outside of the server.

    Raises:
        InvalidEvidence: the file is no evidence, or cannot be read.
        InvalidAnchor: the anchor is none of the evidence's namespace.
    """
    reader = LinesReader(Path(path), "evidence", keyring, InvalidEvidence)
    records = iter(reader)
    first = next(records, None)
    header = reader.header
    if not _says_what_it_is(header):
        raise InvalidEvidence(str(path), "its first line lacks what every evidence says")
    known = None if anchor is None else read_anchor(Path(anchor), header["namespace"], keyring)
    verifier = _Verifier(header, keyring, known)
    problems = verifier.read(records if first is None else itertools.chain([first], records))
    problem = reader.problem or "; ".join(problems[:3])
    return Evidence(header["namespace"], header["at"], verifier.result(problem, reader.unchecked))


class _Verifier:
    """One file that is verified."""

    def __init__(self, header: dict[str, Any], keyring: Keyring, anchor: Anchor | None) -> None:
        self._session_id = header["session_id"]
        self._end = header["offset"]
        self._anchor = anchor
        self._anchored = anchor.sessions.get(self._session_id) if anchor is not None else None
        self._stands = False
        self._trimmed = header.get("trimmed", "")
        self._trims: set[str] = set()
        self._check = HistoryCheck(self._session_id, keyring, version_of(self._trimmed) + 1 if self._trimmed else 1)
        self._folded = Folded(BUILT_IN, self._session_id)
        self._bodies: set[bytes] = set()
        self._changed: set[bytes] = set()
        self._head: dict[bytes, bytes] | None = None
        self._found: list[Finding] = []

    def read(self, records: Iterable[dict[str, Any]]) -> list[str]:
        """Go through the lines, and return what is wrong with them as lines of evidence."""
        problems = []
        for number, record in enumerate(records, 2):
            try:
                self._take(record)
            except (AttributeError, KeyError, TypeError, ValueError):
                problems.append(f"line {number} is none of an evidence")
        return problems

    def _take(self, record: dict[str, Any]) -> None:
        if "event" in record:
            words = [bytes_of(word) for word in record["words"]]
            self._check.event(record["event"], words)
            self._folded.take(record["event"], words)
            self._trims.add(told_trim(words))
            self._stands |= self._anchored is not None and record["event"] == self._anchored.offset
        elif "seal" in record:
            self._check.seal(bytes_of(record["seal"]))
        elif "checkpoint" in record:
            self._take_body(bytes_of(record["checkpoint"]), bytes_of(record["body"]))
        elif "changed_since" in record:
            self._changed = {bytes_of(one) for one in record["changed_since"]}
        else:
            self._head = {bytes_of(name): bytes_of(value) for name, value in record["head"]}

    def _take_body(self, identifier: bytes, body: bytes) -> None:
        """Compare a body at once, so that only one is held at a time."""
        told = saved_checkpoints(self._folded.views).get(identifier)
        if told is None:
            problem = "" if self._trimmed else "no event saved it"
        else:
            problem = body_problem(told, body)
        if problem:
            self._found.append(Finding(Kind.CHECKPOINT_ALTERED, problem, name=identifier.decode(errors="replace")))
        self._bodies.add(identifier)

    def result(self, problem: str, unchecked: str) -> Verification:
        """Return what there is to say.

        Args:
            problem: what is wrong with the file.
            unchecked: why that cannot be told.
        """
        found = [one.finding for one in self._check.finish(version_of(self._end))]
        found += self._found
        for identifier in saved_checkpoints(self._folded.views).keys() - self._bodies - self._changed:
            name = identifier.decode(errors="replace")
            found.append(Finding(Kind.CHECKPOINT_ALTERED, "its body is not in the file", name=name))
        found += self._compare_head()
        if self._trimmed and self._trimmed not in self._trims:
            text = f"no event tells that the events up to {self._trimmed} were trimmed"
            found.append(Finding(Kind.REMOVED, text, version=1))
        if problem:
            found.insert(0, Finding(Kind.FILE_ALTERED, problem))
        outside = check_anchor(self._check, self._session_id, self._anchor, stands=self._stands)
        found += outside.findings
        check = self._check
        claims = judged((claim("file", unchecked), *history_claims(check), *self._claims()), found)
        return Verification(
            self._session_id,
            check.version,
            check.sealed_to,
            check.covered_to,
            tuple(found),
            (*claims, outside.claim),
            erased=check.erased,
            unproven_erased=check.unproven_erased,
        )

    def _compare_head(self) -> list[Finding]:
        if self._folded.broken and not self._trimmed:
            return [Finding(Kind.VIEW_ALTERED, self._folded.broken)]
        if self._head is None or self._trimmed:
            return []
        live = {name: value for name, value in self._head.items() if name not in _LOGS_OWN and name}
        folded = self._folded.views.head
        if self._folded.locked:
            live, folded = unlocked_fields(live, folded)
        names = sorted(name for name in {**live, **folded} if live.get(name) != folded.get(name))
        text = f"{', '.join(name.decode(errors='replace') for name in names[:5])}: not what the events make"
        return [Finding(Kind.VIEW_ALTERED, text, name="head")] if names else []

    def _claims(self) -> list[Claim]:
        why = "" if self._head is not None else "the session was changed while the file was written"
        why = why or "the head is what the events make; a file has no other"
        late = f"the events up to {self._trimmed} are in an archive" if self._trimmed else ""
        return [claim("beginning", late), claim("checkpoints", late), claim("views", late or why)]


def _says_what_it_is(header: dict[str, Any]) -> bool:
    texts = [header.get("namespace"), header.get("session_id")]
    offsets = [header.get("offset"), header.get("trimmed", NOWHERE)]
    return (
        all(isinstance(one, str) for one in texts)
        and all(isinstance(one, str) and _OFFSET.match(one) for one in offsets)
        and isinstance(header.get("at"), int)
    )
