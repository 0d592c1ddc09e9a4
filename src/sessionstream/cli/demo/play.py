"""`demo`: the main job in small, played by real processes on a real server."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

if TYPE_CHECKING:
    from sessionstream.cli.demo.stage import Stage
    from sessionstream.manager import SessionManager

__all__ = ["demo"]

_NEXT = (
    ("sessionstream import FILE", "your own recorded sessions, JSON lines with OpenAI-style messages"),
    ("sessionstream sessions", "then show, history, as-of, resume, checkpoints, stats, export"),
    ("sessionstream doctor", "what the server is, and what it would lose"),
)


@command("demo", panel="Begin here")
async def demo(call: Call) -> int:
    """See it at work: two agents, a checkpoint, a killed process, another that goes on. It leaves nothing behind.

    Runs on the embedded server, or with --url on yours, in a namespace of its own that is removed in the end.
    """
    from sessionstream.cli.demo.removal import remove_namespace
    from sessionstream.cli.demo.stage import Stage
    from sessionstream.cli.demo.transcript import conversations

    talks = conversations()
    stage = Stage(call.terminal, [talk.session_id for talk in talks])
    own = {"namespace": f"demo-{os.urandom(4).hex()}", "partitions": 1, "ttl": 3600.0}
    call.projections.clear()
    async with call.open(**own) as manager:
        stage.begin(_where(manager), manager.settings.namespace)
        try:
            play = _Play(call, manager, stage, {**call.settings, **own})
            await play.first_process()
            await play.second_process()
            await play.history()
            await play.as_of()
        finally:
            removed = await remove_namespace(manager.store, [talk.user_id for talk in talks])
    stage.end(removed, _NEXT)
    _emit(call, {"did": "remove", "keys": removed})
    return Code.DONE


def _where(manager: SessionManager) -> str:
    return "the embedded server" if manager.settings.url is None else "the server of --url"


def _emit(call: Call, record: dict[str, Any]) -> None:
    if call.terminal.as_json:
        call.terminal.emit(record)


class _Play:
    """The acts of the demonstration.

    Args:
        call: the command's.
        manager: of this process, which only looks on.
        stage: where it is shown.
        settings: of the store, for the other processes.
    """

    def __init__(self, call: Call, manager: SessionManager, stage: Stage, settings: dict[str, Any]) -> None:
        self._call = call
        self._manager = manager
        self._stage = stage
        self._settings = {name: str(value) if name == "folder" else value for name, value in settings.items()}
        self._session = ""
        self._covered = ""

    async def first_process(self) -> None:
        """Let both agents work until their process is killed."""
        from sessionstream.cli.demo.processes import agent_process

        did: list[dict[str, Any]] = []
        async with agent_process("first", self._settings) as process:
            async for one in process.told():
                self._heard(did, one, process.pid)
                if one["did"] == "wait":
                    break
            if not did or did[-1]["did"] != "wait":
                await process.ended()
            await process.kill()
        _emit(self._call, {"did": "kill", "process": process.pid})
        saved = next(one for one in did if one["did"] == "save")
        self._session, self._covered = saved["session"], saved["covers"]
        self._show_first(did, saved, process.pid)

    def _show_first(self, did: Sequence[dict[str, Any]], saved: dict[str, Any], pid: int) -> None:
        stage, place = self._stage, did.index(saved)
        stage.step(
            "Two agents begin their sessions",
            "create_session(user_id, agent_id, metadata)",
            f"In process {pid}. A call appends one event, and in the same step updates what is read of the session.",
            stage.sessions([one for one in did if one["did"] == "create"]),
        )
        stage.step(
            "They work, side by side",
            "add_messages(session_id, message)",
            "A message is one event, whatever it carries: text, a tool call, a tool's answer.",
            stage.talk([one for one in did[:place] if one["did"] == "say"]),
        )
        stage.step(
            "One of them saves a checkpoint",
            "save_checkpoint(session_id, data, label=…)",
            "A snapshot of the agent's own data; it marks the event up to which it knows everything.",
            stage.checkpoint(saved),
        )
        stage.step(
            "They go on, and the process dies",
            "kill -9",
            "Nothing is saved on the way out. The refund has been called for, and has not answered.",
            stage.talk([one for one in did[place:] if one["did"] == "say"]),
            stage.death(pid, did[-1]["tool"]),
        )

    async def second_process(self) -> None:
        """Let a new process take the session up."""
        from sessionstream.cli.demo.processes import agent_process

        did: list[dict[str, Any]] = []
        async with agent_process("second", self._settings) as process:
            async for one in process.told():
                self._heard(did, one, process.pid)
            await process.ended()
        resumed, stage = did[0], self._stage
        events = f"{resumed['events_since']} events, {resumed['messages_since']} of them messages"
        whole = resumed["from_checkpoint"] + resumed["messages_since"]
        stage.step(
            "Another process goes on where it was",
            "resume(session_id)",
            f"Process {process.pid} has never seen the session: it reads the checkpoint, and what happened since.",
            stage.facts(
                [
                    ("checkpoint", f"“{resumed['label']}”: {resumed['from_checkpoint']} messages"),
                    ("events since", events),
                    ("its memory again", f"{whole} messages; {resumed['unanswered']} has not answered yet"),
                ]
            ),
            stage.talk([one for one in did if one["did"] == "say"]),
        )

    async def history(self) -> None:
        """Show all that happened to the session."""
        from sessionstream.cli.records import event_record
        from sessionstream.cli.rendering.timeline import Timeline

        timeline, lines = Timeline(self._call.terminal), []
        events = [event async for event in self._manager.history(self._session)]
        for _ in range(2):  # the second time with the widths that all of them need
            lines = [timeline.text(event) for event in events]
        self._stage.step(
            "Everything is still there",
            "history(session_id)",
            "Events are never changed. Each has a time, a version without a gap, and who did it.",
            self._stage.lines(lines),
        )
        for event in events:
            _emit(self._call, {"did": "happen", **event_record(event)})

    async def as_of(self) -> None:
        """Show the session as it was when the checkpoint was saved, beside what it is now."""
        from sessionstream.cli.records import as_of_record

        before = await self._manager.audit.as_of(self._session, offset=self._covered)
        last = (await self._manager.store.head(self._session))[0][b"offset"].decode()
        now = await self._manager.audit.as_of(self._session, offset=last)
        messages = await self._manager.messages(self._session)
        earlier = len(
            await self._manager.messages(
                self._session, before=f"{before.offset.partition('-')[0]}-{before.version + 1}"
            )
        )
        self._stage.step(
            "And so is what was known at any moment",
            "audit.as_of(session_id, offset=…)",
            "The events up to that moment, folded: here up to what the checkpoint covers. A version or a time will do.",
            self._stage.then_and_now(
                f"then: version {before.version}",
                f"now: version {now.version}",
                [
                    ("state", before.state.value, now.state.value),
                    *((key, str(before.metadata[key]), str(now.metadata[key])) for key in now.metadata),
                    ("messages", str(earlier), str(len(messages))),
                    ("checkpoint", _label(before.checkpoint), _label(now.checkpoint)),
                ],
            ),
        )
        _emit(self._call, {"did": "as_of", **as_of_record(before)})

    def _heard(self, did: list[dict[str, Any]], one: dict[str, Any], pid: int) -> None:
        did.append(one)
        _emit(self._call, {**one, "process": pid})


def _label(checkpoint: Any) -> str:
    return "none" if checkpoint is None else f"“{checkpoint.label}”"
