"""The example programs run from a checkout, as their first lines say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALONE = {
    "predict_from_numpy.py": "right hand in 1.0 s",
    "judge_a_bag.py": "zero_velocity",
    "cpp_planner.py": "view not complete: 0\ninput two seconds old: 0",
}
LIVE = {"own_tracker.py", "python_planner.py"}
#: Tried with a stand-in for its controller in tests/ros/commands/test_speed_example.py.
WITH_CONTROLLER = {"speed_to_controller.py"}


def run(root: Path, name: str, *arguments: str) -> str:
    """What the program prints."""
    if name == "cpp_planner.py":
        pytest.importorskip("aux_motion_msgs", reason="the messages are not built")
    command = [sys.executable, str(root / "examples" / name), *arguments]
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_here(root: Path) -> None:
    assert {f.name for f in (root / "examples").glob("*.py")} == {*ALONE, *LIVE, *WITH_CONTROLLER}


@pytest.mark.parametrize("name", ALONE)
def test_it_runs_alone(root: Path, name: str) -> None:
    assert ALONE[name] in run(root, name)


def test_tracker_predictor_and_planner_understand_each_other(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("aux_motion_msgs", reason="the messages are not built")
    from aux_motion.commands.processes import predictor_process

    with predictor_process("map", tmp_path / "predictor.log", None, "damped_pose"):
        tracker = subprocess.Popen(
            [sys.executable, str(root / "examples" / "own_tracker.py"), "--seconds", "14"],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            text=True,
        )
        said = run(root, "python_planner.py", "--live", "--seconds", "10")
        assert "published for 14 s" in tracker.communicate(timeout=60)[0]
    assert "1 people, nearest joint" in said and "planned with" in said
