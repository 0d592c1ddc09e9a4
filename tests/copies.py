"""A check at the end of every run: no module was imported a second time under its checkout name.

From the checkout's root, `import projections` and `import src.sessionstream` find the same files as `sessionstream`
does and make second classes of the same name. Each worker of a parallel run reports what it holds to the run's main
process, which fails the run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import pytest

COPIES = ("projections", "src.sessionstream")


def second_copies(modules: Iterable[str]) -> list[str]:
    """Those of the given module names that are second copies of the package's modules."""
    return sorted(name for name in modules if name in COPIES or name.startswith(tuple(f"{copy}." for copy in COPIES)))


class SecondCopies:
    """Gathers the second copies of all processes of one run."""

    def __init__(self) -> None:
        self.found: set[str] = set()

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what a worker reports when it ends."""
        self.found.update(getattr(node, "workeroutput", {}).get("second_copies", ()))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Report to the main process, or fail the run there."""
        self.found.update(second_copies(sys.modules))
        if hasattr(session.config, "workeroutput"):
            session.config.workeroutput["second_copies"] = sorted(self.found)
        elif self.found:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say why the run failed."""
        if self.found:
            names = ", ".join(sorted(self.found))
            terminalreporter.write_line(f"imported under a second name, not as sessionstream: {names}", red=True)


def pytest_configure(config: pytest.Config) -> None:
    """Take part in the run."""
    config.pluginmanager.register(SecondCopies(), "second-copies")
