"""Session templates, and the configuration that they give an agent."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from sessionstream import AgentConfig, SessionManager
from sessionstream.errors import InvalidArgument, InvalidData
from sessionstream.recipes import SessionTemplate, create_templated_session, restore_from_template

TEMPLATE: dict[str, Any] = {
    "system_prompt": "You are a helpful Chinese assistant.",
    "context": {"language": "zh-CN", "tone": "friendly"},
    "capabilities": ["translation", "qa", "creative"],
}


async def test_the_template_is_kept_as_it_was_given(manager: SessionManager) -> None:
    """In the metadata, beside what else is there; fields that nobody knows and fields left out stay so."""
    given = {"system_prompt": "Hi", "temperature": 0.2}
    session = await create_templated_session(manager, "user_1", "agent_1", given, metadata={"tier": "premium"})
    assert session.metadata == {"tier": "premium", "template": given}
    assert await manager.get_session(session.session_id) == session


async def test_a_template_can_be_a_model(manager: SessionManager) -> None:
    """It keeps what was set."""
    session = await create_templated_session(manager, "user_1", "agent_1", SessionTemplate(system_prompt="Hi"))
    assert session.metadata == {"template": {"system_prompt": "Hi"}}


async def test_the_options_of_create_session_are_honoured(manager: SessionManager) -> None:
    """An id, a time to live, an idempotency key."""
    first = await create_templated_session(manager, "user_1", "a", TEMPLATE, session_id="sess_1", ttl=60)
    assert (first.session_id, first.expires_at is None) == ("sess_1", False)
    again = [await create_templated_session(manager, "user_1", "a", TEMPLATE, idempotency_key="k") for _ in range(2)]
    assert again[0].session_id == again[1].session_id


async def test_the_configuration_follows_from_the_template(manager: SessionManager) -> None:
    """The agent's name, the description as the first document has it, and all of the template."""
    session = await create_templated_session(manager, "user_1", "translator", {**TEMPLATE, "temperature": 0.2})
    config = await restore_from_template(manager, session.session_id)
    assert isinstance(config, AgentConfig)
    assert config.name == "translator"
    assert config.description == "Agent with template: You are a helpful Chinese assistant."
    assert {key: getattr(config, key) for key in TEMPLATE} == TEMPLATE
    assert config.model_extra == {"temperature": 0.2}


async def test_a_template_that_the_caller_wrote_itself_is_restored(manager: SessionManager) -> None:
    """As the first document creates it; its own name and description do not replace the agent's."""
    metadata = {"template": {"system_prompt": "Hi", "name": "x", "description": "y"}}
    session = await manager.create_session("user_1", "agent_1", metadata)
    config = await restore_from_template(manager, session.session_id)
    assert config == AgentConfig(name="agent_1", description="Agent with template: Hi", system_prompt="Hi")


async def test_without_a_template_there_is_no_configuration(manager: SessionManager) -> None:
    """Nor for a session that is unknown or over."""
    await manager.create_session("user_1", "agent_1", {"a": 1}, session_id="sess_1")
    ended = await create_templated_session(manager, "user_1", "agent_1", TEMPLATE)
    await manager.delete_session(ended.session_id)
    assert [await restore_from_template(manager, one) for one in ("sess_1", "unknown", ended.session_id)] == [None] * 3


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ({}, "template.system_prompt"),
        ({"system_prompt": 1}, "template.system_prompt"),
        ({"system_prompt": "Hi", "capabilities": "qa"}, "template.capabilities"),
        ("Hi", "template"),
    ],
)
async def test_a_malformed_template_is_refused(
    manager: SessionManager, client: Redis, template: Any, problem: str
) -> None:
    """The field is named, nothing is written; and one that is in the metadata already is refused when it is read."""
    with pytest.raises(InvalidArgument, match=problem):
        await create_templated_session(manager, "user_1", "agent_1", template)
    assert await client.dbsize() == 0
    session = await manager.create_session("user_1", "agent_1", {"template": template})
    with pytest.raises(InvalidArgument, match=problem):
        await restore_from_template(manager, session.session_id)


@pytest.mark.parametrize("metadata", [{"template": {}}, [1]])
async def test_metadata_holds_no_second_template(manager: SessionManager, metadata: Any) -> None:
    """Which of the two was meant is not guessed."""
    with pytest.raises(InvalidArgument, match="metadata"):
        await create_templated_session(manager, "user_1", "agent_1", TEMPLATE, metadata=metadata)


async def test_what_json_would_change_is_refused(manager: SessionManager) -> None:
    """As in any metadata."""
    with pytest.raises(InvalidData):
        await create_templated_session(manager, "u", "a", {"system_prompt": "Hi", "context": {"x": float("nan")}})


def test_a_configuration_has_a_name_and_may_have_more() -> None:
    """All else has a default; further fields are kept."""
    config = AgentConfig.model_validate({"name": "bot", "model": "m"})
    assert (config.description, config.system_prompt, config.context, config.capabilities) == ("", "", {}, [])
    assert config.model_dump()["model"] == "m"
    with pytest.raises(ValueError, match="name"):
        AgentConfig.model_validate({})
