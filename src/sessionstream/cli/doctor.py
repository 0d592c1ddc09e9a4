"""`doctor`: whether the server, its settings and the namespace are fit for what is to be kept."""

from __future__ import annotations

from sessionstream.cli.calling import Call, command
from sessionstream.cli.exits import Code

__all__ = ["doctor"]


@command("doctor", panel="Keep in order")
async def doctor(call: Call) -> int:
    """Examine server, persistence, eviction, clocks and namespace, and say what is not durable.

    The exit code is 1 if something needs attention.
    """
    from sessionstream.cli.diagnosis.durability import check_durability
    from sessionstream.cli.diagnosis.finding import Level
    from sessionstream.cli.diagnosis.namespace import check_namespace
    from sessionstream.cli.diagnosis.server import check_clock, check_memory, check_server
    from sessionstream.cli.rendering.findings import print_findings
    from sessionstream.settings import settings_from

    findings = []
    # A server that could drop keys, or keeps too little, is refused elsewhere; here it is to be named.
    async with call.open(allow_eviction=True, durability=None) as manager:
        for check in (check_server, check_memory, check_clock, check_namespace):
            findings += await check(manager.store)
        findings += await check_durability(manager.store, settings_from().durability)
    count = sum(one.level is Level.ATTENTION for one in findings)
    if call.terminal.as_json:
        call.terminal.emit({"attention": count, "findings": [one._asdict() for one in findings]})
    else:
        print_findings(call.terminal, findings)
    return Code.NOTHING if count else Code.DONE
