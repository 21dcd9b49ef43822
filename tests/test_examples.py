# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The example programs run from a checkout, as their first lines say."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

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
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_here(root: Path) -> None:
    assert {f.name for f in (root / "examples").glob("*.py")} == {*ALONE, *LIVE, *WITH_CONTROLLER}


@pytest.mark.parametrize("name", ALONE)
def test_it_runs_alone(root: Path, name: str) -> None:
    assert ALONE[name] in run(root, name)


def test_the_lifecycle_manager_brings_up_the_nodes_that_wait_for_it(root: Path, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("ament_index_python", reason="no ROS here")
    from support import launch_stand_in

    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    (index / "aux_motion").touch()
    (tmp_path / "share" / "aux_motion").symlink_to(root)
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    robot = str(root / "config" / "robot_example.yaml")
    with launch_stand_in.installed():
        started = launch_stand_in.launch(
            root / "examples" / "nav2" / "managed_cell.launch.py", fixed_frame="map", robot=robot, namespace="robot1"
        ).started
    predictor, monitor, manager = started
    assert (predictor.parameter("autostart"), monitor.parameter("autostart")) == (False, False)
    assert manager.parameter("node_names") == [predictor.name, monitor.name]
    assert {node.namespace for node in started} == {"robot1"}


def test_the_costmap_layer_times_out_and_the_unit_starts_a_cell(root: Path) -> None:
    costmap = yaml.safe_load((root / "examples" / "nav2" / "costmap.yaml").read_text())
    people = costmap["local_costmap"]["local_costmap"]["ros__parameters"]["people_layer"]["people"]
    assert people["topic"] == "/swept_volume" and 0.0 < people["expected_update_rate"] <= 0.5
    assert people["observation_persistence"] == 0.0 and people["clearing"] is False
    lines = (root / "examples" / "systemd" / "aux_motion.service").read_text().splitlines()
    (command,) = [line for line in lines if line.startswith("ExecStart=")]
    given = re.findall(r"(\w+):=", command)
    assert "ros2 launch aux_motion cell.launch.py" in command and set(given) == {"params_file", "robot", "respawn"}
    assert {"KillSignal=SIGINT", "Restart=on-failure", "WantedBy=multi-user.target"} <= set(lines)
    assert all(f"Environment={name}=" in "\n".join(lines) for name in re.findall(r"\$\{(\w+)\}", command))


def test_tracker_predictor_and_planner_understand_each_other(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("aux_motion_msgs", reason="the messages are not built")
    from aux_motion.commands.processes import predictor_process

    with predictor_process("map", tmp_path / "predictor.log", None, "damped_pose"):
        tracker = subprocess.Popen(
            [sys.executable, str(root / "examples" / "own_tracker.py"), "--seconds", "14"],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])},
            stdout=subprocess.PIPE,
            text=True,
        )
        said = run(root, "python_planner.py", "--live", "--seconds", "10")
        assert "published for 14 s" in tracker.communicate(timeout=60)[0]
    assert "1 people, nearest joint" in said and "planned with" in said
