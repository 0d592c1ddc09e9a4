"""Whatever is done to a store, in whichever order: it does what a model in plain dicts and lists says (G7, G41)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis.stateful import run_state_machine_as_test

from tests.lengths import LONG, examples
from tests.model.whole import Whole
from tests.servers import Server


@pytest.mark.timeout(0 if LONG else 240)
def test_the_store_does_what_the_model_says(make_server: Callable[..., Server]) -> None:
    """All of the public API, by two writers and their readers, with faults in between."""

    class OnServer(Whole):
        server = make_server(appendfsync="no")

    run_state_machine_as_test(OnServer, settings=examples(20, stateful_step_count=40))
