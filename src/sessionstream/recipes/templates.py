"""Sessions that carry the template from which their agent is configured."""

from __future__ import annotations

from collections.abc import Mapping
from types import EllipsisType
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from sessionstream.errors import InvalidArgument, InvalidType
from sessionstream.manager import SessionManager
from sessionstream.session import Session

__all__ = ["AgentConfig", "SessionTemplate", "create_templated_session", "restore_from_template"]

_KEY = "template"


class SessionTemplate(BaseModel):
    """How the agent of a session begins; further fields are kept.

    Attributes:
        system_prompt: what the agent is told first.
        context: facts for the agent, such as language and tone.
        capabilities: what it may be asked for.
    """

    model_config = ConfigDict(extra="allow")

    system_prompt: str
    context: dict[str, Any] = {}
    capabilities: list[str] = []


class AgentConfig(BaseModel):
    """The configuration of an agent; further fields are kept.

    Attributes:
        name: the agent's name.
        description: what it is, for people.
        system_prompt: what it is told first.
        context: facts for it, such as language and tone.
        capabilities: what it may be asked for.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    description: str = ""
    system_prompt: str = ""
    context: dict[str, Any] = {}
    capabilities: list[str] = []


async def create_templated_session(
    manager: SessionManager,
    user_id: str,
    agent_id: str,
    template: SessionTemplate | Mapping[str, Any],
    *,
    metadata: Mapping[str, Any] | None = None,
    session_id: str | None = None,
    ttl: float | EllipsisType | None = ...,
    idempotency_key: str | None = None,
) -> Session:
    """Create a session that keeps a template as its metadata ``template``.

    Args:
        manager: where to.
        user_id: whose it is.
        agent_id: with which agent.
        template: a `SessionTemplate`, or a mapping with its fields; it is kept as given, without defaults.
        metadata: further metadata.
        session_id: see ``create_session``, as for the rest.
        ttl: seconds until it expires.
        idempotency_key: the same key with the same arguments gives the same session again.

    Raises:
        InvalidArgument: the template lacks a field or has one of the wrong type, or the metadata has a template too.
    """
    kept = _template(template).model_dump(exclude_unset=True)
    if metadata is not None and not isinstance(metadata, Mapping):
        raise InvalidType(f"metadata is a mapping, not a {type(metadata).__name__}")
    if metadata is not None and _KEY in metadata:
        raise InvalidArgument("metadata: the template is given by its own argument")
    return await manager.create_session(
        user_id,
        agent_id,
        {**(metadata or {}), _KEY: kept},
        session_id=session_id,
        ttl=ttl,
        idempotency_key=idempotency_key,
    )


async def restore_from_template(manager: SessionManager, session_id: str) -> AgentConfig | None:
    """Return the configuration that a session's template gives its agent.

    Returns:
        None if the session is unknown or over, or has no template. The name is the session's agent; fields of the
        template that `SessionTemplate` does not know are handed on.

    Raises:
        InvalidArgument: the metadata ``template`` is malformed.
    """
    session = await manager.get_session(session_id)
    if session is None or _KEY not in session.metadata:
        return None
    template = _template(session.metadata[_KEY])
    return AgentConfig.model_validate(
        {
            **template.model_dump(),
            "name": session.agent_id,
            "description": f"Agent with template: {template.system_prompt}",
        }
    )


def _template(given: object) -> SessionTemplate:
    if isinstance(given, SessionTemplate):
        return given
    try:
        return SessionTemplate.model_validate(dict(given) if isinstance(given, Mapping) else given)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, (_KEY, *one['loc'])))}: {one['msg']}" for one in error.errors())
        raise InvalidArgument(problems) from None
