# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The demo's overlay: the right pictures of the video, or a line that says why there is none."""

import json
from dataclasses import replace

import numpy as np
import pytest

from aux_motion.benchmarks import demo
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.camera import overlay
from aux_motion_core.skeleton import JOINTS
from aux_motion_core.testing import synthetic
from aux_motion_core.types import MotionPrediction, PredictionBatch, Reason, TrackState

MOVED_NS = 1_700_000_000_000_000_000


@pytest.fixture
def bag(tmp_path):
    path = tmp_path / "walk.mcap"
    with BagWriter(path) as writer:
        for frame in synthetic.frames(2, 1.0):
            writer.write("/skeletons", frame, frame.stamp_ns)
    return path


@pytest.fixture
def recording():
    """The bag as it was heard live: stamps moved, the first three messages missed."""
    frames, batches = [], []
    for frame in synthetic.frames(2, 1.0)[3:]:
        positions = frame.positions.astype(np.float32).astype(float)
        heard = replace(frame, stamp_ns=frame.stamp_ns + MOVED_NS, positions=positions)
        mean = np.repeat(heard.positions[0][None], 25, axis=0)
        person = MotionPrediction(
            "person_0", TrackState.TRACKING, Reason.NONE, heard.stamp_ns, heard.stamp_ns, 0.0,
            heard.stamp_ns + 10**9, mean, heard.positions[0], heard.status[0],
        )  # fmt: skip
        frames.append((heard.stamp_ns, heard))
        batch = PredictionBatch(heard.stamp_ns, "map", "m", "1", 0.04, 25, JOINTS, (person,))
        batches.append((heard.stamp_ns, batch))
    return demo.DemoRecording(frames, batches, 30)


def describe_camera(bag):
    intrinsics = {"width": 320, "height": 240, "fx": 300.0, "fy": 300.0, "cx": 160.0, "cy": 120.0}
    level = {"rotation": np.eye(3).tolist(), "height_m": 1.5, "source": "given"}
    video = {"name": "walk.avi", "fps": 30.0, "start_stamp_ns": 1_000_000_000}
    content = {"intrinsics": intrinsics, "level_from_camera": level, "video": video}
    bag.with_suffix(".camera.json").write_text(json.dumps(content))


def test_pictures_are_taken_at_the_recorded_times(bag, recording, tmp_path, monkeypatch):
    describe_camera(bag)
    taken = []
    monkeypatch.setattr(overlay, "picture", lambda path, video, scene, moments: taken.extend(moments))
    line = demo.overlay(recording, bag, None, tmp_path / "walk.avi", tmp_path / "overlay.png")
    assert line.startswith("written: ")
    recorded = {f.stamp_ns: f for f in synthetic.frames(2, 1.0)}
    assert len(taken) == 6 and len({m.stamp_ns for m in taken}) == 6
    for moment in taken:
        assert set(moment.present) == {"person_0", "person_1"} and set(moment.future) == {"person_0"}
        frame = recorded[moment.stamp_ns]
        np.testing.assert_allclose(moment.present["person_1"], frame.positions[1], atol=1e-5)


def test_without_camera_or_video_a_line_says_so(bag, recording, tmp_path):
    out = tmp_path / "overlay.png"
    assert "no walk.camera.json" in demo.overlay(recording, bag, None, None, out)
    describe_camera(bag)
    assert "walk.avi is not here" in demo.overlay(recording, bag, None, None, out)
    assert not out.exists()


def test_a_video_that_was_named_must_fit(bag, recording, tmp_path):
    describe_camera(bag)
    with pytest.raises(ValueError, match="OpenCV is not installed|cannot read video"):
        demo.overlay(recording, bag, None, tmp_path / "none.avi", tmp_path / "overlay.png")
