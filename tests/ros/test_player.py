"""Playing a bag over DDS: every message, at the pace of its stamps, stamped with the present."""

import time

import numpy as np
import pytest

from aux_motion import live
from aux_motion_core import bags, synthetic
from aux_motion_core.messages import frame_from_message

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")


@pytest.fixture
def bag(tmp_path):
    path = tmp_path / "walk.mcap"
    with bags.BagWriter(path) as writer:
        for frame in synthetic.frames(1, 1.0):
            writer.write("/skeletons", frame, frame.stamp_ns)
    return path


def played(bag, log, *arguments):
    """Frames that a subscriber hears while the bag is played by another process."""
    with live.Recorder() as recorder:
        with live.Process("aux_motion.cli", ["play", str(bag), *arguments], log) as player:
            live.wait(lambda: player.popen.poll() is not None, [player], 40.0, "end of the bag")
            player.check()
    store = bags.typestore()
    return [frame_from_message(store.deserialize_cdr(raw, bags.SKELETONS)) for _, raw in recorder.skeletons]


def test_all_messages_are_heard_with_the_present_time_and_the_recorded_pace(bag, tmp_path):
    started_ns = time.time_ns()
    frames = played(bag, tmp_path / "player.log", "--rate", "2")
    recorded = synthetic.frames(1, 1.0)
    assert len(frames) == len(recorded)
    stamps = np.array([f.stamp_ns for f in frames])
    assert started_ns < stamps[0] and stamps[-1] < time.time_ns()
    expected = np.array([f.stamp_ns - recorded[0].stamp_ns for f in recorded]) / 2
    np.testing.assert_allclose(stamps - stamps[0], expected, atol=2)
    np.testing.assert_allclose(frames[7].positions, recorded[7].positions, atol=1e-6)


def test_stamps_can_be_kept(bag, tmp_path):
    frames = played(bag, tmp_path / "player.log", "--rate", "10", "--keep-stamps")
    assert [f.stamp_ns for f in frames] == [f.stamp_ns for f in synthetic.frames(1, 1.0)]


def test_nobody_listening_is_an_error(bag, monkeypatch):
    from aux_motion import player

    monkeypatch.setattr(player, "DISCOVERY_TIMEOUT_S", 0.3)
    with pytest.raises(ValueError, match="0 of 1 subscribers on nobody_listens"):
        player.play(bag, to="nobody_listens")
