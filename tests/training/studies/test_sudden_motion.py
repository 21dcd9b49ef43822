# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Sudden motion: people that can be, and a report that says what was predicted and what then happened."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from aux_motion_core.config import PredictorConfig
from aux_motion_core.inference import artefact
from aux_motion_core.inference.onnx import OnnxBackend
from aux_motion_core.predictor import Predictor
from aux_motion_core.safety.robot import Link, Robot, Stop
from aux_motion_core.skeleton import BONES, INDEX, JOINTS, N_JOINTS
from aux_motion_core.testing.sudden import STEADY, SUDDEN, WALKS_BEFORE
from aux_motion_core.types import MotionPrediction
from training.data.clip import make_clip
from training.fitting.evidence import TIERS
from training.studies import sudden_motion, sudden_text
from training.studies.sudden_approach import Truth, placed, short_by_m
from training.studies.sudden_people import ONSET_NS, Setting, seen

TIMES = np.arange(-2.0, 1.6, 1 / 60)


@pytest.mark.parametrize("name", [*SUDDEN, *STEADY])
def test_bodies_keep_their_bones_and_stay_above_the_floor(name):
    x = {**SUDDEN, **STEADY}[name](TIMES)
    bones = np.stack([np.linalg.norm(x[:, a] - x[:, b], axis=-1) for a, b in BONES], 1)
    assert x.shape == (len(TIMES), N_JOINTS, 3) and np.ptp(bones, axis=0).max() < 1e-9
    assert x[..., 2].min() > 0.0
    speed = np.linalg.norm(np.diff(x, axis=0), axis=-1) * 60
    assert speed.max() < 13.0
    before = speed[TIMES[1:] <= 0.0].max()
    if name in SUDDEN and name not in WALKS_BEFORE:
        assert before < 0.02, "stands until the onset"
        assert speed[TIMES[:-1] > 0.0].max() > 1.5


def test_all_of_them_come_nearer_to_the_robot():
    for name, motion in SUDDEN.items():
        here = placed(name, motion, 0.85, 1.5)
        nearest = here(np.array([0.0, 0.6, 1.0]))[..., 0].min(1)
        assert nearest[1:].min() < nearest[0] - 0.1, name


def prediction(mean, radius, body):
    return MotionPrediction(**{f: None for f in MotionPrediction.__dataclass_fields__} | {
        "mean": mean, "radius": radius, "body_radius": body, "radius_basis": "conformal"})  # fmt: skip


def test_shares_are_those_of_the_joints_that_left_their_radius():
    mean = np.zeros((25, N_JOINTS, 3))
    truth = mean.copy()
    truth[9, INDEX["left_hand"], 0] = 0.3
    truth[4:, INDEX["head"], 2] = 0.2
    radius, body = np.full((25, N_JOINTS), 0.1), np.full((25, N_JOINTS), 0.25)
    rows = [sudden_motion.judge(prediction(mean, radius, body), t) for t in (truth, mean)]
    found = sudden_motion.summarise(rows, 0.04)
    assert found["joints_outside"] == {"0.2": 1 / 40, "0.4": 2 / 40}
    assert found["some_joint_outside"] == {"0.2": 0.5, "0.4": 0.5}
    assert found["worst_joint"]["0.2"] == ["head", 0.5] and found["worst_joint"]["0.4"][1] == 0.5
    assert found["body_outside"] == 0.5 and found["predictions"] == found["body_predictions"] == 2
    assert found["farthest_beyond_m"] == pytest.approx(0.2)
    none = sudden_motion.summarise([sudden_motion.judge(prediction(mean, radius, None), truth)], 0.04)
    assert none["body_outside"] is None and none["body_predictions"] == 0


def test_a_violation_is_what_the_true_body_takes_of_the_way_to_stop():
    """A wall of a body walks to the robot at 1 m/s from 1 m; at full speed the robot stops within 0.3 s and 0.3 m."""
    robot = Robot(
        max_speed_mps=1.0, reaction_time_s=0.1, stopping=(Stop(speed_fraction=1.0, time_s=0.2, distance_m=0.2),),
        links=(Link(name="l", ends_m=((0, 0, 0), (0, 0, 1)), radius_m=0.1),),
    )  # fmt: skip
    body = np.zeros((1, N_JOINTS, 3)) + [1.1, 0.0, 0.5]
    truth = Truth(lambda t: body - t[:, None, None] * [1.0, 0.0, 0.0], robot, 0.0, 0.0, 1.0)
    assert short_by_m(robot, 1.0, truth, 0.2) == 0.0  # 0.5 m left when it stands, 0.3 needed
    assert short_by_m(robot, 1.0, truth, 0.5) == pytest.approx(0.1, abs=0.021)  # 0.2 m left
    assert short_by_m(robot, 0.0, truth, 0.9) == 0.0, "a robot that stands violates nothing"


def run(root: Path, tmp_path: Path, data: Path | None) -> dict:
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- sudden_motion table -->\nold\n<!-- sudden_motion end -->\nb\n"
                    "<!-- sudden_motion sentence -->\n<!-- sudden_motion end -->\nc\n")  # fmt: skip
    out = tmp_path / "sudden.json"
    model, robot = root / "models" / "body20_25hz", root / "config" / "robot_example.yaml"
    sudden_motion.main(model, robot, 1, ["kick", "stand"], [1.2], data, out, [page])
    return json.loads(out.read_text())


def test_the_command_writes_what_the_predictor_said(root, tmp_path, capsys, monkeypatch):
    t = np.arange(0.0, 6.0, 0.04)
    starts = make_clip("start", "g", "run", 25.0, SUDDEN["run_start"](t - 3.0), "own", "synthetic")
    asked = []
    monkeypatch.setattr(sudden_motion, "load_split", lambda data, tier: asked.append(tier) or [starts])
    found = run(root, tmp_path, tmp_path)
    assert asked == list(found["recordings"]) == list(TIERS)
    onset = found["recordings"]["new_subject"]
    assert onset["clips"] == 1 and 4 <= onset["windows"] <= 8
    assert onset["levels"]["0.95"]["joints"]["0.4"]["overall"] < 0.95
    assert list(found["onset"]) == ["kick", "stand"] and found["schema_version"] == 1
    backend = OnnxBackend(artefact.load(root / "models" / "body20_25hz"))
    setting, motion = Setting(seeds=1), SUDDEN["kick"]
    for level in ("0.95", "0.99"):
        predictor = Predictor(backend, PredictorConfig(coverage_level=float(level)), "cell")
        outside, ahead = [], 0.04 * np.arange(1, 26)
        for frame in seen(motion, setting, 0, setting.after_s):
            predictor.add(frame)
            (person,) = predictor.predict(frame.stamp_ns).people
            t = (frame.stamp_ns - ONSET_NS) * 1e-9
            if t > -setting.before_s - 1e-6:
                outside.append(np.linalg.norm(person.mean - motion(t + ahead), axis=-1) > person.radius)
        row = found["onset"]["kick"][level]
        assert row["predictions"] == len(outside) == 31
        assert row["joints_outside"]["0.4"] == pytest.approx(np.stack(outside)[:, 9].mean(), abs=1e-4)
        assert row["worst_joint"]["0.4"][0] in JOINTS
    kick, stand = (found["onset"][m]["0.95"]["joints_outside"]["0.4"] for m in ("kick", "stand"))
    assert kick > 0.02 > stand, "who only stands is inside"
    monitors = found["approaches"]["monitors"]
    names = {"fixed", "separation", "separation_alone", "simultaneous", "approach", "separation_approach"}
    assert set(monitors) == names
    assert all(m["approaches"] == 1 and set(m["motions"]) == {"kick"} for m in monitors.values())
    page = (tmp_path / "page.md").read_text()
    assert "old" not in page and page.startswith("a\n") and page.endswith("\nc\n") and "\nb\n" in page
    assert "| kick | " in page and f"**{100 * kick:.0f} %**" in page
    assert f"| new subject | {onset['windows']} (1 clips) | " in page
    assert "Of 1 sudden approaches" in page and page.count("<!-- sudden_motion end -->") == 2
    assert "| kick | " in capsys.readouterr().out


def test_wrong_input_is_one_line(root, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marker")
    model, robot = root / "models" / "body20_25hz", root / "config" / "robot_example.yaml"
    with pytest.raises(SystemExit, match="no motion is called hop: there are run_start"):
        sudden_motion.main(model, robot, 1, ["hop"], None, None, None, None)
    with pytest.raises(SystemExit, match="expected a marker"):
        sudden_motion.main(model, robot, 1, ["stand"], None, None, None, [page])
    page.write_text("<!-- sudden_motion table -->")
    with pytest.raises(ValueError, match="and then <!-- sudden_motion end -->"):
        sudden_text.fill(page, {"onset": {}, "approaches": {}, "recordings": {}, "model": {"name": "", "version": ""},
                                "setting": {"tracker_error_m": 0.0, "before_s": 0.4, "after_s": 0.6}})  # fmt: skip
