# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The table of situations against real processes, with a short hold; and that it can fail."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="no ROS here")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built: make msgs")

SHORT = ["-p", "lost_after_s:=0.6", "-p", "absent_hold_s:=0.6", "-p", "backend:=damped_pose"]


def check(root, out, rows: str, *more: str) -> tuple[int, dict]:
    command = [sys.executable, "-m", "aux_motion.entry", "safety-check", "--robot", "config/robot_example.yaml"]
    command += ["--fixed-frame", "map", "--rows", rows, "--json", str(out), *SHORT, *more]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=280)
    assert out.is_file(), done.stdout + done.stderr
    return done.returncode, json.loads(out.read_text())


@pytest.mark.timeout(300)
def test_dead_cameras_rejected_messages_and_a_stray_predictor_free_no_robot(root, tmp_path) -> None:
    code, report = check(
        root, tmp_path / "a.json", "camera_dies,camera_dies_empty,no_frame,stamp_old,8", "--inputs", "2"
    )
    assert code == 0 and report["passed"], [r for r in report["rows"] if not r["passed"]]
    rows = {row["name"]: row for row in report["rows"]}
    assert rows["empty_room"]["speed_fraction"] >= 0.95 and rows["seen"]["speed_fraction"] <= 0.02
    assert all(r["inputs"] == 2 and r["reason"] for r in report["rows"]) and len(rows) == 7


@pytest.mark.timeout(300)
def test_unusable_people_frozen_trackers_and_what_was_before_free_no_robot(root, tmp_path) -> None:
    rows = "all_nan,same_id,stamp_stands,thousandth,frozen,reactivated,relinked"
    code, report = check(root, tmp_path / "a.json", rows, "--inputs", "1")
    assert code == 0 and report["passed"], [r for r in report["rows"] if not r["passed"]]
    assert len(report["rows"]) == 9


@pytest.mark.timeout(300)
def test_a_robot_that_stays_fast_fails(root, tmp_path) -> None:
    """The table must be able to fail: so far away the robot need not slow down, though somebody is seen."""
    code, report = check(root, tmp_path / "a.json", "0", "--inputs", "1", "--near", "8,0")
    rows = {row["name"]: row for row in report["rows"]}
    assert code == 1 and not report["passed"] and rows["empty_room"]["passed"]
    assert not rows["seen"]["passed"] and rows["seen"]["speed_fraction"] == 1.0
