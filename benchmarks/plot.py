"""A picture of how the cost of each operation grows, one panel for each thing that grows."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

__all__ = ["write"]

TITLES = {
    "events": "events in a session",
    "sessions": "sessions in the store",
    "partitions": "partitions of the store",
}


def write(axes: dict[str, list[dict[str, Any]]], path: Path) -> str | None:
    """Draw the median cost of each operation by size, and return the path; None where matplotlib is not installed.

    Args:
        axes: for each thing that grows, rows with ``operation``, ``size`` and ``p50_us``.
        path: where to write the PNG.
    """
    if importlib.util.find_spec("matplotlib") is None:
        return None
    from matplotlib.figure import Figure

    figure = Figure(figsize=(16, 5), layout="constrained")
    for panel, (axis, rows) in zip(figure.subplots(1, len(axes), sharey=True), axes.items(), strict=True):
        for operation in dict.fromkeys(row["operation"] for row in rows):
            points = [(row["size"], row["p50_us"]) for row in rows if row["operation"] == operation]
            panel.plot(*zip(*points, strict=True), marker="o", label=operation)
        panel.set(xscale="log", yscale="log", xlabel=TITLES[axis], title=f"cost by {TITLES[axis]}")
        panel.grid(visible=True, which="major", alpha=0.3)
        panel.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    figure.axes[0].set_ylabel("µs, median of single calls")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    return str(path)
