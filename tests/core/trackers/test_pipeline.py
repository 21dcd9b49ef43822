# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The input pipeline: latency comes off before the transform is looked up, and once."""

from __future__ import annotations

import numpy as np
import pytest
from support import tracker_messages as make

from aux_motion_core import trackers
from aux_motion_core.config import PredictorConfig
from aux_motion_core.space.frames import Frames
from aux_motion_core.space.tf import TfBuffer
from aux_motion_core.trackers.pipeline import Pipeline
from aux_motion_core.trackers.settings import InputConfig

NS = make.NS
LATENCY_S = 0.1


def camera_error_m(latency_s: float) -> tuple[float, int]:
    """Largest error of a joint that stands still 3 m before a camera that turns at 1 rad/s, and the newest stamp."""
    body = make.person("coco17") + np.array([3.0, 0.0, 0.0]) - make.person("coco17").mean(0)
    config = InputConfig(fixed_frame="map", stamp_latency_s=latency_s)
    adapter = trackers.make("pose_array", joints=("coco17",))
    tf = TfBuffer()
    pipeline = Pipeline.of(config, [adapter], Frames("map", tf=tf))

    def yaw(ns: int) -> float:
        return (ns - NS) / NS

    for k in range(200):
        ns = NS + k * NS // 100
        half = yaw(ns) / 2
        tf.add(make.transforms([("map", "camera", (0.0, 0.0, 0.0, 0.0, 0.0, np.sin(half), np.cos(half)), ns)]))
    worst, newest = 0.0, 0
    for k in range(10, 40):
        captured_ns = NS + k * NS // 30
        c, s = np.cos(-yaw(captured_ns)), np.sin(-yaw(captured_ns))
        seen = body @ np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]).T
        stamp_ns = captured_ns + int(LATENCY_S * NS)  # at publication
        message = make.poses(seen, stamp_ns, "camera")
        pipeline.push(pipeline.inputs[0], adapter.frames(message), stamp_ns, stamp_ns, stamp_ns)
        for ready in pipeline.drain(stamp_ns, 0.05):
            assert ready.frame is not None, ready.error
            expected = adapter.frames(make.poses(body, stamp_ns, "map"))[0]
            there = ready.frame.status[0] != 0
            away = np.linalg.norm(ready.frame.positions[0] - expected.positions[0], axis=-1)[there]
            worst, newest = max(worst, float(away.max())), ready.frame.stamp_ns - captured_ns
    return worst, newest


def test_a_turning_cameras_frames_are_placed_where_it_was_when_it_saw() -> None:
    uncorrected_m, late_ns = camera_error_m(0.0)
    assert uncorrected_m > 0.28 and late_ns == int(LATENCY_S * NS)
    corrected_m, late_ns = camera_error_m(LATENCY_S)
    assert corrected_m < 0.002 and late_ns == 0


def test_what_belongs_to_the_inputs_is_no_parameter_of_the_predictor() -> None:
    assert not {"stamp_latency_s", "stamp_source"} & set(PredictorConfig.model_fields)
    with pytest.raises(ValueError, match="stamp_latency_s"):
        PredictorConfig(stamp_latency_s=0.1)
