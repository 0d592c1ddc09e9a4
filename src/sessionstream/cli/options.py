"""The options that every command has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["OF_THE_STORE", "shared_options"]

OF_THE_STORE = ("url", "namespace", "partitions", "folder", "deadline")
"""Those that are settings of the store, by their names there."""

_PANEL = "The store"

_Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="SESSIONSTREAM_URL",
        metavar="URL",
        help="The server: redis://, rediss://, unix://, valkey://, redis+sentinel://.",
        show_default="the embedded server",
        rich_help_panel=_PANEL,
    ),
]
_Namespace = Annotated[
    str | None,
    typer.Option(
        "--namespace",
        "-n",
        envvar="SESSIONSTREAM_NAMESPACE",
        metavar="NAME",
        help="The key prefix of the store.",
        show_default="sessionstream",
        rich_help_panel=_PANEL,
    ),
]
_Partitions = Annotated[
    int | None,
    typer.Option(
        "--partitions",
        envvar="SESSIONSTREAM_PARTITIONS",
        metavar="NUMBER",
        help="Of a namespace that is not made yet; one that is tells its own.",
        show_default="16",
        rich_help_panel=_PANEL,
    ),
]
_Folder = Annotated[
    Path | None,
    typer.Option(
        "--folder",
        envvar="SESSIONSTREAM_FOLDER",
        metavar="FOLDER",
        help="The data folder of the embedded server.",
        show_default="the user's own",
        rich_help_panel=_PANEL,
    ),
]
_Deadline = Annotated[
    float | None,
    typer.Option(
        "--deadline",
        envvar="SESSIONSTREAM_DEADLINE",
        metavar="SECONDS",
        help="Over all tries of one call; then the server counts as unavailable.",
        show_default="15",
        rich_help_panel=_PANEL,
    ),
]
_Projections = Annotated[
    list[str] | None,
    typer.Option(
        "--projections",
        envvar="SESSIONSTREAM_PROJECTIONS",
        metavar="MODULE:NAME",
        help="Your own projections, which a namespace made with them needs for every write; repeatable.",
        rich_help_panel=_PANEL,
    ),
]
_AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object a line, and nothing else, to standard output.")
]


def shared_options(
    url: _Url = None,
    namespace: _Namespace = None,
    partitions: _Partitions = None,
    folder: _Folder = None,
    deadline: _Deadline = None,
    projections: _Projections = None,
    as_json: _AsJson = False,
) -> None:
    """Have the signature of the options that every command has; nobody calls it."""
