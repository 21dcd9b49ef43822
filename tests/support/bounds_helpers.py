# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A small calibration table with known factors."""

from __future__ import annotations

import numpy as np

from aux_motion_core.bounds.calibration import CLASS_NAMES, MOTION_CAPTURE, Calibration, body_cells, joint_cells, key
from aux_motion_core.history.limits import JOINT_LIMITS_MPS


def table(
    sha256: str = "0" * 64,
    score: str = "error_m",
    levels: tuple[float, ...] = (0.9, 0.95),
    steps: int = 25,
    factor: float = 0.1,
    body: float = 2.0,
    edge: float | None = 0.5,
    tracker: str = MOTION_CAPTURE,
    familiar: dict | None = None,
) -> Calibration:
    """Marginal factor `factor` x step at 0.9, twice that at 0.95; bodies `body` x the marginal radius at 0.95."""
    ramp = (factor * np.arange(1, steps + 1))[:, None] * np.ones(len(CLASS_NAMES))

    def group(names: list[str], rows: np.ndarray) -> dict:
        content = {key(v): ((1 + i) * rows).tolist() for i, v in enumerate(levels)}
        return {"name": "any", "serves": names, "windows": 300, "clips": 9, "factor": content}

    return Calibration.model_validate(
        {
            "schema_version": 1,
            "kind": "group_cross_conformal",
            "score": score,
            "levels": list(levels),
            "steps": steps,
            "windows": 300,
            "clips": 9,
            "speed_edge_mps": edge,
            "joint_classes": list(CLASS_NAMES),
            "joints": [group(joint_cells(), ramp)],
            "body_base": levels[-1],
            "bodies": [group(body_cells(), np.full((steps, 1), body / 2))],
            "body_floor_m": np.zeros((steps, len(CLASS_NAMES))).tolist(),
            "top_speed_mps": JOINT_LIMITS_MPS.tolist(),
            "domain": {
                "tracker": tracker,
                "sources": [],
                "actions": [],
                "groups": 1,
                "conditions": [],
                "size": (0.9, 1.1),
            },
            "familiar": familiar,
            "onnx_sha256": sha256,
        }
    )
