"""Blocks 15 and 16: a session that carries a template, and the agent's configuration made of it."""

from __future__ import annotations

from sessionstream import AgentConfig, Session
from tests.seed.stage import Stage

_TEMPLATE = {
    "system_prompt": "You are a helpful Chinese assistant.",
    "context": {"language": "zh-CN", "tone": "friendly"},
    "capabilities": ["translation", "qa", "creative"],
}


async def test_block_15_creates_a_session_with_a_template(stage: Stage) -> None:
    """The template lies in the metadata, nested as it was given."""
    await stage.run(15)
    session = await stage["create_templated_session"]()
    assert type(session) is Session
    assert await stage.manager.get_session(session.session_id) == session
    assert session.metadata == {"template": _TEMPLATE}
    created = {"user_id": "user_123", "agent_id": "translator", "metadata": {"template": _TEMPLATE}}
    assert await stage.history(session.session_id) == [("session.created", {**created, "ttl_ms": 3_600_000})]


async def test_block_16_makes_the_agents_configuration_of_the_template(stage: Stage) -> None:
    """It is an `AgentConfig`, and reading it appends nothing."""
    await stage.session(agent_id="translator", metadata={"template": _TEMPLATE})
    await stage.run(16)
    config = await stage["restore_from_template"]("sess_abc123")
    assert type(config) is AgentConfig
    assert config.name == "translator"
    assert config.description == "Agent with template: You are a helpful Chinese assistant."
    assert config.system_prompt == _TEMPLATE["system_prompt"]
    assert await stage.types() == ["session.created"]


async def test_block_16_gives_none_without_a_template(stage: Stage) -> None:
    """A session without one, and an unknown session."""
    await stage.session()
    await stage.run(16)
    assert await stage["restore_from_template"]("sess_abc123") is None
    assert await stage["restore_from_template"]("sess_unknown") is None
