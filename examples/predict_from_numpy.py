# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Predict from a NumPy array: no ROS, no recording, no tracker.

python examples/predict_from_numpy.py
"""

from pathlib import Path

import numpy as np

from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import INDEX, JointStatus
from aux_motion_core.testing.synthetic import walker
from aux_motion_core.types import SkeletonFrame

ROOT = Path(__file__).resolve().parents[1]

# Your data: stamps in seconds, positions (frames, joints, 3) in metres, z up, NaN where a joint was not seen.
stamps_s = np.arange(0.0, 1.0, 1 / 30)
positions = walker(stamps_s)
positions[10:20, INDEX["left_hand"]] = np.nan

predictor = Predictor(make_backend("onnx", ROOT / "models" / "body20_25hz"), PredictorConfig(), fixed_frame="map")
for stamp_s, joints in zip(stamps_s, positions, strict=True):
    seen = np.isfinite(joints).all(-1)
    status = np.where(seen, JointStatus.OBSERVED, JointStatus.MISSING).astype(np.uint8)
    frame = SkeletonFrame(
        stamp_ns=round(stamp_s * 1e9),
        frame_id="map",
        person_ids=("1",),
        positions=joints[None],
        status=status[None],
        confidence=seen[None].astype(np.float32),
    )
    predictor.add(frame)

batch = predictor.predict(round(stamps_s[-1] * 1e9))
for person in batch.people:
    print(f"person {person.person_id}: {person.state.name}, {person.reasons!r}")
    for step in (4, 9, 24):
        place, radius = person.mean[step, INDEX["right_hand"]], person.radius[step, INDEX["right_hand"]]
        ahead_s = (step + 1) * batch.dt_s
        print(f"  right hand in {ahead_s:.1f} s: {np.round(place, 2)} m, within {radius:.2f} m")
