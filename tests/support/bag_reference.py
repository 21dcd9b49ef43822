# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a whole bag is predicted as, kept beside the tests: a faster path must say the same.

    python -m tests.support.bag_reference

writes it anew. The network is a stand-in, so that new weights change nothing here.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from aux_motion_core.bags.inputs import read_frames
from aux_motion_core.config import PredictorConfig
from aux_motion_core.history.normalise import REST_POSE
from aux_motion_core.inference.baselines import ConstantVelocity
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import PARENTS
from tests.support.bounds_helpers import table

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "tests" / "core" / "bag_reference.npz"
CONFIGS = {
    "default": {},
    "learning": {"learning": "on", "adaptation_floor": 0.5},
    "mix": {"mix": True, "coverage_level": 0.9},
    "bare": {"adaptation": "off", "learning": "off", "self_check_s": 0.0},
}
#: Every so many frames, and the steps, that are kept of the arrays.
EVERY, STEPS = 15, [2, 11, 24]


class StandIn:
    """A backend with a scale and a table, whose answers follow from its input alone."""

    def __init__(self) -> None:
        self._backend = ConstantVelocity(history_steps=25)
        bone = REST_POSE[1:] - REST_POSE[list(PARENTS[1:])]
        length = np.linalg.norm(bone, axis=-1)
        familiar = {
            "features": ["size", "bone", "bone_change", "shaking", "speed", "pose"],
            "centre": [0.1, 0.02, 0.01, 0.01, 1.0, 3.0],
            "spread": [0.2, 0.05, 0.02, 0.02, 1.5, 2.0],
            "threshold": 1.5,
            "false_alarm_rate": 0.02,
            "bone_m": length.tolist(),
            "bone_mean": (bone / np.maximum(length, 1e-6)[:, None]).tolist(),
            "bone_precision": np.broadcast_to(20.0 * np.eye(3), (19, 3, 3)).tolist(),
        }
        self.calibration = table(score="error_over_scale", factor=0.3, familiar=familiar)

    def __getattr__(self, name: str):
        return getattr(self._backend, name)

    def infer(self, values: np.ndarray, mask: np.ndarray):
        """The baseline's answer, and a scale that grows with time and with what is missing."""
        future, recovered, _ = self._backend.infer(values, mask)
        lacking = 1.0 - mask.mean((1, 2))
        scale = 0.01 * np.arange(1, 26)[:, None, None] * (1.0 + lacking)[:, None, None, None] * [1.0, 0.7, 0.4]
        return future, recovered, np.broadcast_to(scale, future.shape).astype(np.float32)


def predictions() -> dict[str, np.ndarray]:
    """Of the sample bag, for each of `CONFIGS`: numbers of every person in every frame, and parts of the arrays."""
    frames = list(read_frames(ROOT / "samples" / "sports2d_demo.mcap"))
    out: dict[str, np.ndarray] = {}
    for name, values in CONFIGS.items():
        predictor = Predictor(StandIn(), PredictorConfig(**values), frames[0][1].frame_id)
        numbers, arrays = [], []
        for k, (_, frame) in enumerate(frames):
            predictor.add(frame)
            for person in predictor.predict(frame.stamp_ns + 10_000_000).people:
                sums = (person.mean.sum(), person.recovered.sum(), person.radius.sum())
                body = 0.0 if person.body_radius is None else person.body_radius.sum()
                numbers.append((k, int(person.state), int(person.reasons), person.age_s, *sums, body))
                if k % EVERY == 0:
                    radii = [person.radius, person.radius if person.body_radius is None else person.body_radius]
                    scale = np.zeros((25, 20, 3)) if person.scale is None else person.scale
                    parts = [*radii, *np.moveaxis(person.mean, -1, 0), *np.moveaxis(scale, -1, 0)]
                    arrays.append(np.stack(parts)[:, STEPS])
        predictor.settle()
        fit = predictor.fit(frame.stamp_ns)
        out[f"{name}/numbers"] = np.array(numbers)
        out[f"{name}/arrays"] = np.array(arrays, np.float32)
        if fit is not None:
            out[f"{name}/fit"] = np.stack([fit.overall.error_m, fit.overall.jitter_m, fit.overall.outcomes])
    return out


if __name__ == "__main__":
    np.savez_compressed(FILE, **predictions())
