"""User projections and lives of sessions, drawn at random."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from sessionstream.events.base import Event, event
from sessionstream.events.lifecycle import (
    CheckpointDeleted,
    CheckpointSaved,
    MetadataUpdated,
    SessionCreated,
    SessionRefreshed,
    StateChanged,
)
from sessionstream.events.runtime import (
    ErrorOccurred,
    MessageAdded,
    MessageRetracted,
    NoteAdded,
    ToolCalled,
    ToolReturned,
    UsageRecorded,
)
from sessionstream.projection import (
    AT,
    OFFSET,
    VERSION,
    Add,
    Increment,
    Move,
    Operation,
    Place,
    Projection,
    Put,
    Remove,
    Replace,
    Rescore,
    Slide,
    Unset,
    counters,
    index,
    ranking,
    view,
)

__all__ = ["Life", "Scenario", "Stepped", "scenarios"]

LARGEST = 2**53 - 1
DAY_MS = 86_400_000

VIEWS = [view("a"), view("b")]
RANKINGS = [ranking("a"), ranking("b")]
INDEXES = [index("a"), index("a", "x"), index("a", "x:y"), index("b", "ü{0}")]
COUNTERS = [counters("a"), counters("b")]


@event("interpreters.stepped")
class Stepped(Event, frozen=True, kw_only=True):
    """Asks a drawn projection for one of its steps."""

    step: int


text = st.text(st.characters(codec="utf-8"), max_size=8)
names = st.sampled_from(["a", "ab", "abc", "b", "1", "é", "m:a", "\0", " "]) | text.filter(bool)
prefixes = st.sampled_from(["", "a", "ab", "m:", "é"])
whole = st.sampled_from([0, 1, -1, LARGEST, -LARGEST, LARGEST - 1]) | st.integers(-LARGEST, LARGEST)
shifts = st.integers(-(2**52), 2**52) | st.integers(-DAY_MS, DAY_MS)
times = st.just(AT) | shifts.map(lambda shift: AT + shift)
numeric_looking = st.sampled_from(
    ["0", "-0", "007", "-1", "1e5", "inf", "nan", "0x10", " 1", "9" * 17, "1" * 5000, "0" * 5000]
)
values = st.one_of(
    text, numeric_looking, whole, st.binary(max_size=8), times, st.just(VERSION), text.map(lambda end: OFFSET + end)
)
scores = st.one_of(whole, st.floats(allow_nan=False), times, st.just(VERSION))


def _replacement(prefix: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(names | st.just("") if prefix else names, values, max_size=4)


@st.composite
def _moves(draw: st.DrawFn) -> Move:
    among = draw(st.lists(st.sampled_from(INDEXES), min_size=1, max_size=4))
    return Move(among, draw(st.none() | st.sampled_from(among)), draw(st.none() | scores))


def _on_members(places: list[Place], members: st.SearchStrategy[str]) -> st.SearchStrategy[Operation]:
    place = st.sampled_from(places)
    return st.one_of(
        st.builds(Add, place, scores, members),
        st.builds(Rescore, place, scores, members),
        st.builds(Remove, place, members),
    )


operations: st.SearchStrategy[Operation] = st.one_of(
    st.builds(Put, st.sampled_from(VIEWS), st.dictionaries(names, values, max_size=4)),
    st.builds(Unset, st.sampled_from(VIEWS), st.lists(names, max_size=3)),
    prefixes.flatmap(lambda prefix: st.builds(Replace, st.sampled_from(VIEWS), st.just(prefix), _replacement(prefix))),
    _moves(),
    _on_members(RANKINGS, names),
    _on_members(INDEXES, st.just("")),
    st.builds(Increment, st.sampled_from(COUNTERS + VIEWS), names, whole | times | st.just(VERSION)),
    st.builds(Slide, st.lists(st.sampled_from(INDEXES), max_size=3)),
)
steps = st.lists(st.lists(operations, max_size=4), min_size=1, max_size=5)


def drawn_projection(name: str, program: Sequence[Sequence[Operation]], otherwise: bool) -> Projection:
    """A projection that carries out one step for each `Stepped`, and if wanted its first one for all other events."""
    projection = Projection(name)

    @projection.on(Stepped)
    def stepped(session_id: str, happened: Stepped) -> Iterable[Operation]:
        return program[happened.step % len(program)]

    if otherwise:
        projection.otherwise(lambda session_id, happened: program[0])
    return projection


json_values = st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), text, st.lists(text, max_size=2))
metadata = st.dictionaries(names, json_values, max_size=3)
ttls = st.none() | st.integers(DAY_MS, 2**40)
checkpoint_ids = st.sampled_from(["c1", "c2", "é", "3"])

changes = st.one_of(
    st.builds(MetadataUpdated, set=metadata, unset=st.lists(names, max_size=2)),
    st.builds(SessionRefreshed, ttl_ms=ttls),
    st.builds(StateChanged, state=st.sampled_from(["active", "idle", "archived"])),
    st.builds(
        CheckpointSaved,
        checkpoint_id=checkpoint_ids,
        covers=st.just("1-1"),
        size=st.integers(0, 9),
        sha256=text,
        label=st.none() | text,
    ),
    st.builds(CheckpointDeleted, checkpoint_id=checkpoint_ids),
)
happenings = st.one_of(
    st.builds(MessageAdded, role=text, content=text),
    st.builds(MessageRetracted, offset=text),
    st.builds(ToolCalled, name=text, arguments=text),
    st.builds(ToolReturned, name=text, result=text),
    st.builds(ErrorOccurred, message=text),
    st.builds(UsageRecorded, input_tokens=st.integers(0, 9)),
    st.builds(NoteAdded, text=text),
)
stepped = st.builds(Stepped, step=st.integers(0, 4))
batches = st.lists(st.one_of(stepped, stepped, happenings, changes), min_size=1, max_size=4)


@dataclass
class Life:
    """A session, from its creation to its end, if it has one.

    Attributes:
        created: its first event.
        batches: what each writer appends meanwhile, append by append.
        end: ``expired`` or ``deleted``, appended beside all that; None lets it live.
    """

    created: SessionCreated
    batches: list[list[list[Any]]]
    end: str | None


@dataclass
class Scenario:
    """What happens in one namespace.

    Attributes:
        partitions: of the namespace.
        lives: of its sessions.
        at_once: every writer sends all at once, instead of one append after the other.
        programs: of the user's projections, each with whether it has a function for all other events.
    """

    partitions: int
    lives: list[Life]
    at_once: bool
    programs: list[tuple[list[list[Operation]], bool]] = field(default_factory=list)

    @property
    def projections(self) -> list[Projection]:
        """The user's projections."""
        return [drawn_projection(f"p{number}", *program) for number, program in enumerate(self.programs)]


def scenarios(writers: int = 3) -> st.SearchStrategy[Scenario]:
    """Sessions of one namespace, several writers, up to two user projections."""
    created = st.builds(
        SessionCreated,
        user_id=names,
        agent_id=st.sampled_from(["a", "b:c", "ü"]),
        metadata=metadata,
        ttl_ms=ttls,
        sliding=st.booleans(),
    )
    life = st.builds(
        Life,
        created=created,
        batches=st.lists(st.lists(batches, max_size=4), min_size=1, max_size=writers),
        end=st.sampled_from([None, None, "expired", "deleted"]),
    )
    return st.builds(
        Scenario,
        partitions=st.sampled_from([1, 3]),
        lives=st.lists(life, min_size=1, max_size=4),
        at_once=st.booleans(),
        programs=st.lists(st.tuples(steps, st.booleans()), max_size=2),
    )
