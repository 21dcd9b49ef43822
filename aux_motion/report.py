"""The report of `aux-motion evaluate`: one HTML file with everything in it."""

from __future__ import annotations

from typing import Any

from aux_motion_core.evaluation.run import Evaluation


def page(summary: dict[str, Any], evaluation: Evaluation | None) -> str:
    """The page."""
    return "<html></html>"
