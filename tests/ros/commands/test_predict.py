# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bags through the predictor: one prediction per message, judged, and bad messages counted."""

from dataclasses import replace

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer

from aux_motion.commands.offline import Job
from aux_motion.commands.predict import predict
from aux_motion_core.bags import reader
from aux_motion_core.bags.definitions import typestore
from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.replay import PREDICTED, arrival_ns
from aux_motion_core.inference import baselines
from aux_motion_core.predictor import Predictor
from aux_motion_core.skeleton import N_JOINTS
from aux_motion_core.testing import synthetic


def run(bag, backend, out=None, **values):
    return predict(Job(bag=bag, values={"backend": backend, **values}, progress=False), out)


def write(path, frames, topic="/skeletons"):
    with BagWriter(path) as writer:
        for frame in frames:
            writer.write(topic, frame, frame.stamp_ns)
    return path


@pytest.fixture
def straight():
    """Two people who move evenly, without turning or swinging."""
    rest = synthetic.walker(np.array([0.3, 0.7]))
    frames = synthetic.frames(2, 4.0)
    seconds = [(f.stamp_ns - frames[0].stamp_ns) * 1e-9 for f in frames]
    velocity = np.array([0.9, -0.3, 0.0])
    return [replace(f, positions=rest + velocity * t) for f, t in zip(frames, seconds, strict=True)]


def test_every_message_gives_a_prediction_and_even_motion_is_predicted_exactly(tmp_path, straight):
    bag = write(tmp_path / "in.mcap", straight)
    out = tmp_path / "build" / "out.mcap"
    report = run(bag, "constant_velocity", out)
    assert report.frames == len(straight) and report.people == {"person_0", "person_1"}
    assert report.duration_s == pytest.approx(4.0 - 1 / 30, abs=1e-3)
    row = report.verdict.mpjpe_mm["1.0"]
    assert row["constant_velocity"] < 1.0
    assert row["zero_velocity"] == pytest.approx(1000 * np.hypot(0.9, 0.3), abs=2.0)

    batches = [batch for _, batch in reader.read_predictions(out)]
    assert len(batches) == len(straight)
    assert [len(b.people) for b in batches] == [2] * len(straight)
    assert report.predictions == sum(any(p.state in PREDICTED for p in b.people) for b in batches) > 100
    assert len(list(reader.read_skeletons(out))) == len(straight)


def test_a_replay_gives_the_predictors_own_numbers(tmp_path, straight):
    out = tmp_path / "out.mcap"
    run(write(tmp_path / "in.mcap", straight), "damped_pose", out)
    predictor = Predictor(baselines.make("damped_pose"), PredictorConfig(), "map")
    for (_, frame), (_, batch) in zip(
        reader.read_skeletons(tmp_path / "in.mcap"), reader.read_predictions(out), strict=True
    ):
        predictor.add(frame)
        expected = predictor.predict(frame.stamp_ns)
        for a, b in zip(expected.people, batch.people, strict=True):
            assert (a.person_id, a.state, a.reasons) == (b.person_id, b.state, b.reasons)
            np.testing.assert_allclose(b.mean, a.mean, atol=1e-5)


def test_bad_messages_are_counted_and_skipped(tmp_path, straight):
    straight[3] = replace(straight[3], frame_id="camera")
    bag = write(tmp_path / "in.mcap", straight)
    report = run(bag, "zero_velocity", fixed_frame="map")
    assert list(report.rejected.values()) == [1] and "camera" in next(iter(report.rejected))
    assert report.frames == len(straight) - 1


def test_a_bag_of_which_nothing_can_be_used_is_an_error_and_leaves_no_file(tmp_path, straight):
    bag = write(tmp_path / "in.mcap", [replace(f, frame_id="camera") for f in straight[:5]])
    with pytest.raises(reader.BagError, match="5 of them: frame 'camera' is not the fixed frame"):
        run(bag, "zero_velocity", tmp_path / "out.mcap", fixed_frame="map")
    assert not (tmp_path / "out.mcap").exists()


def test_difficult_streams_are_replayed_to_the_end(tmp_path, straight):
    """Stamps backwards, two messages with one stamp, two joints, nobody, and a loop."""
    frames = list(straight)
    frames[20], frames[21] = frames[21], frames[20]
    frames.insert(40, frames[40])
    status = np.zeros((2, N_JOINTS), np.uint8)
    status[:, :2] = 1
    frames[50] = replace(frames[50], status=status)
    empty = np.empty((0, N_JOINTS), np.uint8)
    frames[60] = replace(
        frames[60], person_ids=(), positions=np.empty((0, N_JOINTS, 3)), status=empty, confidence=empty
    )
    bag = write(tmp_path / "in.mcap", frames + frames[:30])
    report = run(bag, "damped_pose", tmp_path / "out.mcap")
    assert report.frames == len(frames) + 30
    for _, batch in reader.read_predictions(tmp_path / "out.mcap"):
        assert all(np.isfinite(p.mean).all() and np.isfinite(p.recovered).all() for p in batch.people)


def test_log_times_count_as_arrival_only_on_the_stamps_clock():
    assert arrival_ns(1_050_000_000, 1_000_000_000) == 1_050_000_000
    assert arrival_ns(1_700_000_000_000_000_000, 1_000_000_000) == 1_000_000_000
    assert arrival_ns(900_000_000, 1_000_000_000) == 1_000_000_000


def test_the_sample_is_replayed_whole_and_the_same_each_time(root, tmp_path):
    (sample,) = (root / "samples").glob("*.mcap")
    report = run(sample, "damped_pose", tmp_path / "p.mcap")
    assert report.frames == reader.count_messages(sample, reader.SKELETONS) > 100
    assert report.rejected == {} and report.predictions > 0.7 * report.frames
    assert list(report.verdict.mpjpe_mm) == ["0.2", "0.4", "0.6", "0.8", "1.0"]
    assert min(report.verdict.samples.values()) > 100
    assert run(sample, "damped_pose").verdict == report.verdict
    for _, batch in reader.read_predictions(tmp_path / "p.mcap"):
        assert all(np.isfinite(p.mean).all() for p in batch.people)


def test_it_says_that_another_backend_answered(tmp_path, straight):
    """No engine was built for the shipped model, on whatever machine."""
    bag = write(tmp_path / "in.mcap", straight[:60])
    report = run(bag, "tensorrt")
    (line,) = report.remarks
    assert line.startswith("the CPU predicted, not tensorrt: ") and not report.problems
    assert run(bag, "onnx").remarks == []


def test_a_bag_with_nothing_of_anybody_is_named(tmp_path):
    from support import tracker_messages as make

    store, kind = typestore(), "yolo_msgs/msg/DetectionArray"
    with Writer(tmp_path / "bag", version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/detections", kind, typestore=store)
        writer.write(connection, make.NS, store.serialize_cdr(make.yolo([]), kind))
    with pytest.raises(reader.BagError, match="nobody is in any message"):
        run(tmp_path / "bag", "damped_pose", fixed_frame="map")
