# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""People of a video as skeletons: ids, pauses, bad input, and the real video."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from support.camera_helpers import standing

from aux_motion.cli import guard
from aux_motion.commands import make_sample, track
from aux_motion.commands.camera_tracker import track as follow
from aux_motion.commands.level_estimate import estimate_level
from aux_motion.commands.mediapipe_pose import MediaPipe
from aux_motion.commands.people_tracker import PeopleTracker, Settings
from aux_motion.commands.video import TrackerError, Video
from aux_motion_core.bags.reader import read_skeletons
from aux_motion_core.camera.geometry import Detection, LevelFrame, ray_rotation
from aux_motion_core.camera.intrinsics import Camera
from aux_motion_core.skeleton import INDEX, N_JOINTS, JointStatus

needs_opencv = pytest.mark.skipif(importlib.util.find_spec("cv2") is None, reason="OpenCV is not installed")
needs_mediapipe = pytest.mark.skipif(
    importlib.util.find_spec("mediapipe") is None, reason="MediaPipe is not installed (extra tracker)"
)
CAMERA = Camera(1280, 720, 900.0, 900.0, 640.0, 360.0)
LEVEL = LevelFrame.from_tilt(10.0, height_m=1.5)


def seen_at(place: tuple[float, float, float], rng: np.random.Generator | None = None) -> Detection:
    """A standing person, hips at a place of the level frame, as a landmark model sees it."""
    moved = LEVEL.to_camera(np.array(place))
    upright = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])  # optical to level axes
    world = standing() @ upright @ LEVEL.rotation
    pixels = CAMERA.project(world + moved)
    if rng is not None:
        pixels = pixels + rng.normal(0.0, 1.5, pixels.shape)
    rotated = world @ ray_rotation(moved)  # the model's axes are those of a camera that looks at the person
    return Detection(pixels, rotated, np.full(33, 0.9))


def run(tracker: PeopleTracker, pictures: list[list[Detection]], rate_hz: float = 30.0) -> list:
    return [tracker.update(d, k / rate_hz, round(k / rate_hz * 1e9)) for k, d in enumerate(pictures)]


@needs_opencv
def test_a_walker_comes_out_where_it_walks() -> None:
    rng = np.random.default_rng(0)
    places = [(4.0, 1.5 - 1.2 * k / 30.0, 0.87) for k in range(75)]
    tracker = PeopleTracker(CAMERA, LEVEL, Settings(person_height_m=1.7, height_known=True))
    frames = run(tracker, [[seen_at(p, rng)] for p in places])
    assert [f.person_ids for f in frames[:4]] == [()] * 4  # not believed before it is steady
    for place, frame in list(zip(places, frames))[30:]:
        assert frame.person_ids == ("person_1",)
        pelvis = frame.positions[0, INDEX["pelvis"]]
        # The model's own skeleton is taken to be 1.6 m at first, this one is 1.7: distances settle with it.
        assert abs(pelvis[0] - place[0]) < 0.35 and abs(pelvis[1] - place[1]) < 0.15
        head = frame.positions[0, INDEX["head"]]
        assert 0.6 < head[2] - pelvis[2] < 0.85
        forward = frame.positions[0, INDEX["left_hip"]] - frame.positions[0, INDEX["right_hip"]]
        assert abs(forward[1]) > 5.0 * abs(forward[2])  # hips level
    last = frames[-1]
    assert last.positions.shape == (1, N_JOINTS, 3) and last.covariance.shape == (1, N_JOINTS, 6)
    assert last.status[0, INDEX["pelvis"]] == JointStatus.DERIVED
    assert last.status[0, INDEX["spine"]] == JointStatus.MISSING
    assert last.status[0, INDEX["left_knee"]] == JointStatus.OBSERVED


@needs_opencv
def test_distance_follows_the_given_body_height() -> None:
    distance = {}
    for height in (1.5, 1.8):
        tracker = PeopleTracker(CAMERA, LEVEL, Settings(person_height_m=height, height_known=True))
        frame = run(tracker, [[seen_at((4.0, 0.0, 0.87))]] * 30)[-1]
        pelvis = frame.positions[0, INDEX["pelvis"]] - (0.0, 0.0, LEVEL.height_m)
        distance[height] = np.linalg.norm(pelvis)
    assert distance[1.8] / distance[1.5] == pytest.approx(1.2, rel=1e-3)


@needs_opencv
def test_an_unknown_height_makes_the_distance_less_certain() -> None:
    spread = {}
    for known in (True, False):
        tracker = PeopleTracker(CAMERA, LEVEL, Settings(height_known=known))
        frame = run(tracker, [[seen_at((4.0, 0.0, 0.87))]] * 40)[-1]
        spread[known] = frame.covariance[0, INDEX["pelvis"], 0]
        assert frame.covariance[0, INDEX["pelvis"], 0] > 4.0 * frame.covariance[0, INDEX["pelvis"], 3]
    assert spread[False] > 1.5 * spread[True]


@needs_opencv
def test_ids_stay_whatever_the_order_of_the_detections() -> None:
    pictures = []
    for k in range(60):
        both = [seen_at((4.0, 1.2, 0.87)), seen_at((5.0, -1.0 - 0.5 * k / 30.0, 0.87))]
        pictures.append(both[:: 1 if k % 2 else -1])
    frames = run(PeopleTracker(CAMERA, LEVEL), pictures)
    for frame in frames[10:]:
        assert sorted(frame.person_ids) == ["person_1", "person_2"]
    side = [np.sign(f.positions[f.person_ids.index("person_1"), 0, 1]) for f in frames[10:]]
    assert len(set(side)) == 1


@needs_opencv
def test_a_pause_keeps_the_id_and_a_leap_does_not() -> None:
    here, there = seen_at((4.0, 1.2, 0.87)), seen_at((4.0, -1.2, 0.87))
    paused = run(PeopleTracker(CAMERA, LEVEL), [[here]] * 20 + [[]] * 8 + [[here]] * 20)
    assert paused[-1].person_ids == ("person_1",)
    assert paused[24].person_ids == () and paused[29].person_ids == ()  # found again, not yet steady
    leapt = run(PeopleTracker(CAMERA, LEVEL), [[here]] * 20 + [[there]] * 20)
    assert leapt[-1].person_ids == ("person_2",)


@needs_opencv
@pytest.mark.parametrize("rate_hz", [5.0, 60.0])
def test_a_slow_and_a_fast_camera(rate_hz: float) -> None:
    pictures = [[seen_at((4.0, 1.0 - 1.2 * k / rate_hz, 0.87))] for k in range(round(2.0 * rate_hz))]
    tracker = PeopleTracker(CAMERA, LEVEL)
    frames = run(tracker, pictures, rate_hz)
    assert {f.person_ids for f in frames[5:]} == {("person_1",)}
    assert tracker.counters["settling"] == 4


@needs_opencv
def test_hidden_joints_are_missing_or_guessed() -> None:
    person = seen_at((4.0, 0.0, 0.87))
    visibility = person.visibility.copy()
    visibility[15], visibility[26] = 0.1, 0.5  # left wrist, right knee
    hidden = Detection(person.pixels, person.world, visibility)
    frame = run(PeopleTracker(CAMERA, LEVEL), [[hidden]] * 10)[-1]
    assert frame.status[0, INDEX["left_wrist"]] == JointStatus.MISSING
    assert frame.confidence[0, INDEX["left_wrist"]] == 0.0
    assert frame.status[0, INDEX["right_knee"]] == JointStatus.TRACKER_PREDICTED
    assert frame.confidence[0, INDEX["right_knee"]] == pytest.approx(0.5)
    knees = frame.covariance[0, [INDEX["right_knee"], INDEX["left_knee"]], 3]
    assert knees[0] > 2.0 * knees[1]


@needs_opencv
def test_joints_outside_of_the_picture_are_guessed() -> None:
    frame = run(PeopleTracker(CAMERA, LEVEL), [[seen_at((1.6, 0.0, 0.87))]] * 10)[-1]
    assert frame.status[0, INDEX["left_foot"]] == JointStatus.TRACKER_PREDICTED
    assert frame.status[0, INDEX["left_hip"]] == JointStatus.OBSERVED


@needs_opencv
def test_damaged_landmarks_never_stop_it_and_never_come_out() -> None:
    rng = np.random.default_rng(5)
    person = seen_at((4.0, 0.0, 0.87))
    nan = np.full(33, np.nan)
    damaged = [
        Detection(person.pixels * np.nan, person.world, person.visibility),
        Detection(person.pixels, person.world * np.nan, person.visibility),
        Detection(person.pixels, person.world, nan),
        Detection(person.pixels, np.zeros((33, 3)), person.visibility),
        Detection(np.zeros((33, 2)), person.world, person.visibility),
        Detection(rng.uniform(0, 700, (33, 2)), person.world, person.visibility),
        Detection(person.pixels, rng.normal(size=(33, 3)), person.visibility),
    ]
    partly = person.world.copy()
    partly[15] = np.inf
    pictures = [[person, *damaged]] * 10 + [[Detection(person.pixels, partly, person.visibility)]] * 10
    tracker = PeopleTracker(CAMERA, LEVEL)
    for frame in run(tracker, pictures):
        present = frame.status != JointStatus.MISSING
        assert np.isfinite(frame.positions[present]).all()
        assert np.isfinite(frame.covariance[present]).all()
    assert "person_1" in frame.person_ids
    assert frame.status[frame.person_ids.index("person_1"), INDEX["left_wrist"]] == JointStatus.MISSING
    assert tracker.counters["torso_not_visible"] > 0


@needs_opencv
def test_level_is_estimated_from_people_who_stand() -> None:
    pictures = [[seen_at((4.0, y, 0.87))] for y in np.linspace(-1.0, 1.0, 12)]
    level = estimate_level(CAMERA, pictures, 1.6)  # what the landmark model's bodies are taken for: scale 1
    pitch, roll = level.tilt_deg
    assert pitch == pytest.approx(10.0, abs=1.5) and roll == pytest.approx(0.0, abs=1.5)
    assert "estimated from 12 views" in level.source and level.height_m == pytest.approx(1.5, abs=0.15)
    nobody = estimate_level(CAMERA, [[], []], 1.7)
    assert "assumed level" in nobody.source and nobody.height_m == 0.0
    given = estimate_level(CAMERA, pictures, 1.7, up=np.array([0.0, -1.0, 0.0]), height_m=2.0)
    assert given.source == "tilt given; height given" and given.height_m == 2.0


def command_line(arguments: list[str], capsys) -> tuple[int, str]:
    """Exit code of `aux-motion track` and what it says on stderr."""
    with pytest.raises(SystemExit) as end:
        guard(lambda: sys.exit(track.main(arguments)), "aux-motion")
    return end.value.code, capsys.readouterr().err


@needs_opencv
def test_bad_videos_are_named_in_one_line(tmp_path, capsys) -> None:
    empty, garbage = tmp_path / "empty.mp4", tmp_path / "garbage.mp4"
    empty.write_bytes(b"")
    garbage.write_bytes(b"no video at all " * 100)
    for source, says in (
        (tmp_path / "none.mp4", "no such video"),
        (empty, "is empty (0 bytes)"),
        (garbage, "cannot open video"),
    ):
        code, said = command_line([str(source), "--out", str(tmp_path / "a.mcap")], capsys)
        assert code == 2 and says in said and "Traceback" not in said
        assert says in [line for line in said.splitlines() if line.startswith("aux-motion: error")][0]
    assert not (tmp_path / "a.mcap").exists()


@needs_opencv
def test_bad_options_are_named(tmp_path, capsys) -> None:
    code, said = command_line(["0", "--out", str(tmp_path / "a.bag")], capsys)
    assert code == 2 and "ends in .mcap" in said
    code, said = command_line(["0", "--people", "9"], capsys)
    assert code == 2 and "people" in said


@needs_opencv
def test_without_mediapipe_the_error_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(TrackerError, match="MediaPipe is not installed.*aux_motion\\[tracker\\]") as caught:
        MediaPipe()
    assert "\n" not in str(caught.value)


def test_without_opencv_the_error_says_what_to_install(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(TrackerError, match="OpenCV is not installed.*aux_motion\\[tracker\\]"):
        Video("some.mp4")


def test_a_wheel_without_the_video_is_named(tmp_path) -> None:
    with pytest.raises(make_sample.SampleError, match="is not the wheel of sports2d"):
        make_sample.extract(tmp_path / "none.whl", tmp_path)


def write_video(path: Path, pictures: int) -> None:
    cv2 = pytest.importorskip("cv2")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 20.0, (320, 240))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no video")
    for k in range(pictures):
        writer.write(np.full((240, 320, 3), 12 * k, np.uint8))
    writer.release()


@needs_opencv
def test_times_are_those_of_the_file(tmp_path) -> None:
    write_video(tmp_path / "a.avi", 12)
    video = Video(str(tmp_path / "a.avi"))
    pictures = list(video.pictures())
    video.close()
    assert video.size == (320, 240) and video.fps == pytest.approx(20.0)
    np.testing.assert_allclose([p.time_s for p in pictures], np.arange(12) * 0.05, atol=1e-6)
    assert all(p.captured_ns is None for p in pictures)


@needs_opencv
def test_paced_pictures_have_stamps_of_the_present(tmp_path) -> None:
    write_video(tmp_path / "a.avi", 12)
    video = Video(str(tmp_path / "a.avi"), paced=True)
    pictures = list(video.pictures())
    video.close()
    stamps = np.array([p.captured_ns for p in pictures])
    times = np.array([p.time_s for p in pictures])
    np.testing.assert_allclose((stamps - stamps[0]) * 1e-9, times - times[0], atol=1e-6)


@needs_opencv
@needs_mediapipe
def test_nobody_in_the_video(tmp_path, capsys) -> None:
    write_video(tmp_path / "a.avi", 6)
    code, said = command_line([str(tmp_path / "a.avi"), "--out", str(tmp_path / "a.mcap")], capsys)
    assert code == 2 and "no person found in 6 pictures" in said
    assert "assumed from a horizontal field of view of 60 degrees" in said and "body height 1.7 m assumed" in said
    assert not (tmp_path / "a.mcap").exists()


@pytest.fixture(scope="module")
def real_video(root) -> Path:
    video = root / "build" / "sample" / "demo.mp4"
    if not video.is_file():
        try:
            wheel = make_sample.fetch_wheel(video.parent)
            make_sample.extract(wheel, video.parent)
        except make_sample.SampleError as error:
            pytest.skip(f"the video is not here: {error}")
    return video


@needs_opencv
@needs_mediapipe
@pytest.mark.slow
def test_real_video_to_a_bag(real_video: Path, tmp_path, capsys) -> None:
    out = tmp_path / "real.mcap"
    arguments = [str(real_video), "--out", str(out), "--intrinsics", make_sample.INTRINSICS, "--seconds", "1.5"]
    arguments += ["--pitch-deg", "-0.077", "--camera-height-m", "1.708", "--person-height-m", "1.75"]
    code, said = command_line(arguments, capsys)
    assert code == 0, said
    frames = [frame for _, frame in read_skeletons(out)]
    assert len(frames) == 46
    stamps = np.array([f.stamp_ns for f in frames])
    np.testing.assert_allclose(np.diff(stamps) * 1e-9, 1.0 / 30.0, atol=2e-3)
    jumping = [f for f in frames if f.person_ids]
    assert len(jumping) > 20 and {f.person_ids for f in jumping} == {("person_1",)}
    last = jumping[-1]
    pelvis, head = last.positions[0, INDEX["pelvis"]], last.positions[0, INDEX["head"]]
    assert 9.0 < pelvis[0] < 14.0 and 0.0 < pelvis[1] < 2.0 and 2.0 < pelvis[2] < 3.5  # on the box
    assert 0.5 < head[2] - pelvis[2] < 0.9
    assert out.with_suffix(".camera.json").is_file()


@needs_opencv
@needs_mediapipe
@pytest.mark.slow
def test_real_video_with_everything_estimated(real_video: Path) -> None:
    video = Video(str(real_video))
    camera = Camera.from_fov(*video.size, 40.0)
    said, levels = [], []
    frames = follow(video, camera, Settings(), seconds=1.2, say=said.append, on_level=levels.append)
    frames = [f for _, f in itertools.islice(frames, 60)]
    video.close()
    assert len(frames) == 37 and any(f.person_ids for f in frames)
    pitch, roll = levels[0].tilt_deg
    assert abs(pitch) < 15.0 and abs(roll) < 8.0  # held by hand, about level
    assert any("estimated" in line for line in said)
    feet = frames[-1].positions[0, [INDEX["left_foot"], INDEX["right_foot"]], 2]
    assert np.nanmin(np.abs(feet)) < 0.4
