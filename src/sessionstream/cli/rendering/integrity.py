"""What was sealed, and what a verification found: one line a session, what was altered, what could not be checked."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from rich.text import Text

from sessionstream.cli.summaries import counted
from sessionstream.cli.terminal import Terminal, visible
from sessionstream.integrity.reporting import Finding, Verification
from sessionstream.integrity.sealing import Sealed

__all__ = ["Tally", "print_sealed", "sealed_record", "verification_record"]


def sealed_record(sealed: Sealed) -> dict[str, Any]:
    """Return how far a session is sealed, for JSON."""
    return {**dataclasses.asdict(sealed), "version": sealed.version}


def verification_record(found: Verification) -> dict[str, Any]:
    """Return what a verification found, for JSON."""
    return {"ok": found.ok, "events_after_last_seal": found.events_after_last_seal, **dataclasses.asdict(found)}


def print_sealed(terminal: Terminal, sealed: Sealed) -> None:
    """Print how far a session is sealed, in one line."""
    now = f"{sealed.events:,} now" if sealed.events else "nothing new"
    text = Text().append("  ✓ ", style="green").append(visible(sealed.session_id), style="bold")
    text.append(f"  sealed to version {sealed.version:,} ({now})  ")
    terminal.line(text.append(f"{sealed.offset}  {sealed.seal[:16]}…", style="dim"))


class Tally:
    """Prints verifications as they come, and in the end what they come to; with ``--json`` nothing.

    Args:
        terminal: where.
        in_full: whether every claim of every session is printed; otherwise what was not checked is summed up.

    Attributes:
        verifications: those that have a finding, or seals that could not be checked.
        sessions: how many there were.
    """

    def __init__(self, terminal: Terminal, *, in_full: bool) -> None:
        self._terminal = terminal
        self._in_full = in_full
        self._unchecked: Counter[tuple[str, str]] = Counter()
        self._events = self._erased = self._unsealed = self._findings = 0
        self.verifications: list[Verification] = []
        self.sessions = 0

    def add(self, found: Verification) -> None:
        """Print one more."""
        self.sessions += 1
        self._events += found.version
        self._erased += found.erased
        self._unsealed += found.events_after_last_seal
        self._findings += len(found.findings)
        if not found.ok or found.unproven:
            self.verifications.append(found)
        if self._in_full or not found.ok:
            self._terminal.line(_headline(found))
            for one in found.findings:
                _print(self._terminal, "!", "bold red", _finding(one))
        for claim in found.claims if self._in_full else ():
            mark, style = ("✗", "bold red") if not claim.holds else ("✓", "green") if claim.checked else ("?", "yellow")
            why = f" ({claim.why})" if claim.why else ""
            _print(self._terminal, mark, style, Text(claim.says).append(why, style="yellow"))
        # What differs from session to session, as counts do, is one line for all of them.
        self._unchecked.update((one.says, _kind_of(one.why)) for one in found.unchecked)

    def finish(self) -> None:
        """Print what they come to."""
        for (says, why), count in self._unchecked.most_common() if not self._in_full else ():
            text = Text(f"not checked in {counted(count, 'session')}: {says}").append(f" ({why})", style="yellow")
            _print(self._terminal, "?", "yellow", text)
        words = f"{counted(self.sessions, 'session')}, {counted(self._events, 'event')}"
        words += f" ({self._erased:,} erased)" if self._erased else ""
        words += f", {self._unsealed:,} of them behind the last seals" if self._unsealed else ", all of them sealed"
        altered = f"{counted(self._findings, 'finding')}" if self._findings else "nothing was found"
        self._terminal.line(Text(f"{words}: ").append(altered, style="bold red" if self._findings else "bold green"))


def _kind_of(why: str) -> str:
    return "no seal covers the newest events yet" if why.startswith("no seal covers the last") else why


def _print(terminal: Terminal, mark: str, style: str, text: Text) -> None:
    """Print one line with its mark; on a terminal it goes on below, as far to the right."""
    if terminal.plain:
        terminal.line(f"  {mark} {text}")
        return
    lines = text.wrap(terminal.out, max(20, terminal.out.width - 4))
    for number, line in enumerate(lines):
        terminal.line(Text().append("    " if number else f"  {mark} ", style=style).append_text(line))


def _headline(found: Verification) -> Text:
    mark, style = ("✓", "green") if found.ok else ("!", "bold red")
    text = Text().append(f"{mark} ", style=style).append(visible(found.session_id), style="bold")
    if found.retired:
        return text.append("  retired since", style="dim")
    sealed = f"sealed to version {found.sealed_to:,}" if found.sealed_to or not found.covered_to else "not proven"
    erased = f", {found.erased:,} of them erased" if found.erased else ""
    return text.append(f"  {counted(found.version, 'event')}{erased}, {sealed}", style="dim")


def _finding(one: Finding) -> Text:
    place = one.offset or (f"version {one.version}" if one.version is not None else one.name or "")
    text = Text().append(str(one.kind), style="bold red")
    text.append(f"  {visible(place)}" if place else "", style="bold")
    return text.append(f"  {visible(one.detail)}")
