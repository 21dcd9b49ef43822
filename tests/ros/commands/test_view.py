# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion view` without a browser: what is shown, how a recording is gone through, the process."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from aux_motion.commands.offline import Job
from aux_motion.commands.view import words
from aux_motion.commands.view.command import opened, view
from aux_motion.commands.view.page import ViewError
from aux_motion.commands.view.recording import AHEAD_S, BEHIND_S, Opened, Recording, open_evaluation
from aux_motion.commands.view.robots import placed
from aux_motion.commands.view.scene import bones, pose_at
from aux_motion.commands.view.shapes import outside, turns
from aux_motion_core.bags import writer
from aux_motion_core.bags.files import BagError
from aux_motion_core.safety.robot import RobotError
from aux_motion_core.safety.separation import SpeedReason
from aux_motion_core.skeleton import INDEX
from aux_motion_core.testing import synthetic
from aux_motion_core.types import Reason, TrackState, View, ViewReason

SAMPLE = "samples/sports2d_demo.mcap"


def wait(condition, patience_s=60.0):
    end = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.02)


def write(path, frames):
    with writer.BagWriter(path) as out:
        for frame in frames:
            out.write("/skeletons", frame, frame.stamp_ns)
    return path


# Words


def test_every_state_reason_and_decision_has_words():
    assert set(words.STATES) == set(words.STATE_COLOURS) == set(TrackState)
    assert set(words.REASONS) == set(Reason) - {Reason.NONE}
    assert set(words.SPEEDS) == set(SpeedReason)
    assert set(words.VIEWS) == set(View) and set(words.VIEW_REASONS) == set(ViewReason) - {ViewReason.NONE}
    assert words.reasons(Reason.FEW_JOINTS | Reason.NOT_Z_UP) == [
        words.REASONS[Reason.FEW_JOINTS],
        words.REASONS[Reason.NOT_Z_UP],
    ]


# Shapes


def test_turns_bring_z_to_every_direction():
    from scipy.spatial.transform import Rotation

    rng = np.random.default_rng(0)
    to = rng.normal(size=(50, 3))
    to = np.concatenate([to / np.linalg.norm(to, axis=1, keepdims=True), [[0, 0, 1.0], [0, 0, -1.0]]])
    found = Rotation.from_quat(turns(to)[:, [1, 2, 3, 0]]).apply([0.0, 0.0, 1.0])
    assert found == pytest.approx(to, abs=1e-9)


def _distance(points, end):
    way = end[1] - end[0]
    place = np.clip((points - end[0]) @ way / max(way @ way, 1e-12), 0.0, 1.0)
    return np.linalg.norm(points - end[0] - place[:, None] * way, axis=1)


def test_the_surface_of_one_capsule_is_whole():
    end, radius = np.array([[0.1, 0.2, 0.3], [0.4, 0.9, 1.1]]), 0.3
    vertices, faces = outside(end[None], np.array([radius]))
    assert _distance(vertices, end) == pytest.approx(radius, abs=1e-6)
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed
    a, b, c = (vertices[faces[:, k]].astype(float) for k in range(3))
    volume = np.einsum("fc,fc->f", a, np.cross(b, c)).sum() / 6.0  # positive: faces look outwards
    length = np.linalg.norm(end[1] - end[0])
    assert volume == pytest.approx(np.pi * radius**2 * length + 4 / 3 * np.pi * radius**3, rel=0.08)


def test_the_surface_of_a_body_has_nothing_inside():
    rng = np.random.default_rng(1)
    ends, radius = rng.uniform(0.0, 1.0, (12, 2, 3)), rng.uniform(0.1, 0.3, 12)
    vertices, faces = outside(ends, radius)
    deep = np.max([r - _distance(vertices, e) for e, r in zip(ends, radius, strict=True)], axis=0)
    triangles = deep[faces.astype(int)]
    assert (triangles.min(1) < 1e-3).all()  # no triangle lies wholly within another capsule
    alone = outside(ends[:1], radius[:1])[1]
    assert 0 < len(faces) < 12 * len(alone)
    assert len(outside(np.zeros((0, 2, 3)), np.zeros(0))[1]) == 0


def test_a_missing_spine_leaves_a_trunk():
    pose = synthetic.walker(np.array([0.0]))[0]
    assert bones(pose).shape == (19, 2, 3)
    pose[INDEX["spine"]] = np.nan
    assert np.isfinite(bones(pose)).all((1, 2)).sum() == 18


# A recording


@pytest.fixture(scope="module")
def sample(root):
    """The sample, beside the example robot, all of it."""
    robot = placed(root / "config" / "robot_example.yaml", "9.2 0.2 0 0")
    recording = Recording(opened(root / SAMPLE, {}), robot)
    wait(lambda: recording.ended)
    yield recording
    recording.close()


def test_a_recording_shows_the_numbers_of_evaluate(sample, root):
    from aux_motion.commands.offline import Here
    from aux_motion_core.evaluation.replay import quiet
    from aux_motion_core.evaluation.run import judge

    here = Here(Job(bag=root / SAMPLE, out=root))
    evaluation = judge(here, here.grid, quiet(here._reading.parameters), table=here.table)
    here.close()
    expected = evaluation.summary()["mpjpe_mm"]
    found = {}
    for h, key in enumerate(expected):
        errors = [
            outcome.error_m[:, h]
            for moment in sample.moments.between(-1.0, 99.0)
            for p in moment.batch.people
            if p.stamp_ns == moment.frame.stamp_ns and (outcome := sample.moments.outcome(p.person_id, p.stamp_ns))
        ]
        mean = 1e3 * np.nanmean(errors, axis=0)
        found[key] = dict(zip(sample.moments.sources, mean, strict=True))
    assert list(found["0.4"]) == list(expected["0.4"])
    for key, row in expected.items():
        assert found[key]["model"] == pytest.approx(row["model"], rel=0.02)
        assert found[key]["damped_pose"] == pytest.approx(row["damped_pose"], rel=0.02)


def test_the_monitor_decides_at_every_moment(sample):
    moments = sample.moments.between(1.0, 5.0)
    assert all(m.separation is not None and m.robot is not None and not m.robot_trouble for m in moments)
    assert {m.separation.reason for m in moments} & {SpeedReason.STOPPED, SpeedReason.SLOWED}
    ends, radius = moments[0].robot
    assert ends[0, 0] == pytest.approx([9.2, 0.2, 0.0]) and radius[0] == pytest.approx(0.1)


def test_both_kinds_of_bound_are_there(sample):
    moment = sample.moments.at(2.33)
    alone, together = (sample.occupancy(moment, kind) for kind in ("marginal", "simultaneous"))
    assert alone.person_ids == together.person_ids == ("person_1", "person_2")
    assert alone.radius[1, 9].mean() < together.radius[1, 9].mean()


def test_the_pose_shown_is_between_the_steps(sample):
    moment = sample.moments.at(3.0)
    person = moment.batch.people[0]
    assert pose_at(person, 0.04, 0.4) == pytest.approx(person.mean[9])
    assert pose_at(person, 0.04, 0.42) == pytest.approx(0.5 * (person.mean[9] + person.mean[10]))
    assert pose_at(person, 0.04, 0.0) == pytest.approx(np.asarray(person.recovered))
    assert pose_at(person, 0.04, 9.0) == pytest.approx(person.mean[-1])


@pytest.fixture(scope="module")
def long_bag(tmp_path_factory):
    """Twenty minutes of somebody who walks, at 5 Hz."""
    frames = synthetic.frames(1, 1200.0, rate_hz=5.0)
    return write(tmp_path_factory.mktemp("long") / "long.mcap", frames)


def test_a_long_bag_is_never_loaded_whole(long_bag):
    recording = Recording(Opened(Job(bag=long_bag, out=long_bag.parent), "long"))
    try:
        wait(lambda: len(recording.moments) > 50)
        assert recording.duration_s == pytest.approx(1199.8, abs=0.5)
        for at_s in (900.0, 300.0):  # far ahead, and back
            recording.look(at_s)
            wait(lambda at_s=at_s: recording.moments.first_s <= at_s <= np.nan_to_num(recording.moments.last_s))
            found = recording.moments.at(at_s)
            assert found.at_s == pytest.approx(at_s, abs=0.21)
            assert found.batch.people[0].state == TrackState.TRACKING  # warm: it began earlier
            wait(lambda at_s=at_s: recording.moments.judged_s > at_s)
            assert np.isfinite(recording.moments.outcome("person_0", found.frame.stamp_ns).error_m).all()
        for at_s in np.arange(300.0, 380.0, 4.0):  # as it plays
            recording.look(float(at_s), playing=True)
            wait(lambda at_s=at_s: recording.moments.last_s >= at_s)
        assert len(recording.moments) < 5.0 * (BEHIND_S + 100.0 + AHEAD_S)
        assert recording.moments.first_s > 300.0
        assert not recording.ended and not recording.trouble
    finally:
        recording.close()


def test_a_bag_of_nothing_says_so(tmp_path, root):
    bag = write(tmp_path / "none.mcap", synthetic.frames(1, 0.2))
    with pytest.raises(ValueError, match="frame"):
        Recording(Opened(Job(bag=bag, out=tmp_path, values={"fixed_frame": 3}), "x"))
    with pytest.raises(BagError):
        Recording(opened(tmp_path / "not_there.mcap", {}))


# An evaluation


def test_an_evaluation_brings_its_worst_moments(root, tmp_path):
    from aux_motion.commands import evaluate

    assert evaluate.main([root / SAMPLE], tmp_path / "eval", {"progress": False}, [], 1, lambda _: None) in (0, 2)
    found = open_evaluation(tmp_path / "eval")
    summary = json.loads((tmp_path / "eval" / "summary.json").read_text())
    assert found.job.bag == root / SAMPLE and not found.note
    assert [b.person_id for b in found.bookmarks] == [m["person"] for m in summary["worst"]]
    recording = Recording(found, start_s=found.bookmarks[0].at_s)
    try:
        wait(lambda: recording.ended)
        worst = summary["worst"][0]
        outcome = recording.moments.outcome(worst["person"], found.bookmarks[0].stamp_ns)
        assert 1e3 * outcome.error_m[0, -1] == pytest.approx(worst["error_mm"], rel=0.02)
    finally:
        recording.close()

    # where the bag is gone, the people of annotated.mcap are shown
    summary["bag"] = str(tmp_path / "moved.mcap")
    (tmp_path / "eval" / "summary.json").write_text(json.dumps(summary))
    found = open_evaluation(tmp_path / "eval")
    assert found.job.bag.name == "annotated.mcap" and "is not here" in found.note
    recording = Recording(found)
    try:
        wait(lambda: len(recording.moments) > 60)
    finally:
        recording.close()
    (tmp_path / "eval" / "annotated.mcap").unlink()
    with pytest.raises(BagError, match="name the bag itself"):
        open_evaluation(tmp_path / "eval")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", "damaged"),
        ('{"a": 1}', "not of aux-motion evaluate"),
        ('{"bags": {"x": {"folder": "x"}}}', "several bags"),
    ],
)
def test_what_is_no_evaluation_is_told(tmp_path, content, line):
    (tmp_path / "summary.json").write_text(content)
    with pytest.raises(BagError, match=line):
        opened(tmp_path, {})


# Robot, address


def test_a_robot_is_placed(root):
    path = root / "config" / "robot_example.yaml"
    moved = placed(path, "1, 2, 0.5, 90")
    was = np.array(placed(path).links[1].ends_m[1])
    assert moved.links[1].ends_m[1] == pytest.approx([1 - was[1], 2 + was[0], 0.5 + was[2]])
    for at in ("1 2 3", "nan 0 0 0", "0 0 0 inf"):
        with pytest.raises(RobotError, match="four numbers"):
            placed(path, at)


def test_what_to_view_must_be_said(root):
    with pytest.raises(ViewError, match="not both"):
        view(root / SAMPLE, {}, live=True)
    with pytest.raises(ViewError, match="expected a bag"):
        view(None, {})


# The process


def start(*arguments, root):
    command = [sys.executable, "-m", "aux_motion.cli", "view", *map(str, arguments), "--port", "0"]
    return subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_the_page_is_served_here_only_and_ends_with_ctrl_c(root):
    pytest.importorskip("viser", reason="viser is not installed (pip install 'aux_motion[view]')")
    began = time.monotonic()
    process = start(SAMPLE, root=root)
    try:
        line = process.stdout.readline()
        took_s = time.monotonic() - began
        address = re.search(r"http://localhost:(\d+)", line)
        assert address, line + process.stdout.read()
        assert took_s < 20.0  # 2 s on an idle machine
        with urllib.request.urlopen(f"http://127.0.0.1:{address[1]}", timeout=10) as page:
            assert b"<html" in page.read(2000).lower()
        listening = Path(f"/proc/{process.pid}/net/tcp").read_text().splitlines()[1:]
        port = f":{int(address[1]):04X}"
        hosts = {row.split()[1].split(":")[0] for row in listening if row.split()[1].endswith(port)}
        assert hosts == {"0100007F"}  # 127.0.0.1
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0
        rest = process.stdout.read()
        assert "ended" in rest and "Traceback" not in rest
    finally:
        process.kill()
        process.wait()


def test_a_wrong_bag_ends_in_one_line(root, tmp_path):
    pytest.importorskip("viser", reason="viser is not installed (pip install 'aux_motion[view]')")
    process = start(tmp_path / "none.mcap", root=root)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert len(out.strip().splitlines()) == 1 and "none.mcap" in out
