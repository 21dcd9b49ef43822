# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The launch files, with a stand-in for `launch`: what they start, and what they refuse.

The real ones are run by tests/ros/real_launch.py, where they are installed.
"""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import get_args, get_origin

import pytest
from support import launch_stand_in
from support.launch_stand_in import ArgumentError, Node, launch

pytest.importorskip("ament_index_python", reason="no ROS here")

#: What a launch file may import: it runs in the interpreter of `ros2`.
ALLOWED = {"launch", "launch_ros", "ament_index_python", "yaml", "aux_motion", *sys.stdlib_module_names}


@pytest.fixture
def files(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Path of a launch file, with the checkout in the index of installed packages."""
    prefix = tmp_path / "prefix"
    index = prefix / "share" / "ament_index" / "resource_index" / "packages"
    index.mkdir(parents=True)
    for package in ("aux_motion", "rviz2"):
        (index / package).touch()
    (prefix / "share" / "aux_motion").symlink_to(root)
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join([str(prefix), os.environ.get("AMENT_PREFIX_PATH", "")]))
    with launch_stand_in.installed():
        yield lambda name: root / "launch" / f"{name}.launch.py"


@pytest.fixture
def robot(root: Path) -> str:
    return str(root / "config" / "robot_example.yaml")


def nodes(context) -> dict[str, Node]:
    """The nodes that were started, by name."""
    found = [a for a in context.started if isinstance(a, Node)]
    assert len({n.name for n in found}) == len(found)
    return {n.name: n for n in found}


def imports(file: Path, root: Path) -> set[str]:
    """Top-level modules that a file and the modules of this package that it imports need."""
    found: set[str] = set()
    for part in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names = [a.name for a in part.names] if isinstance(part, ast.Import) else []
        if isinstance(part, ast.ImportFrom):
            names = [part.module, *(f"{part.module}.{a.name}" for a in part.names)]
        for name in names:
            found.add(name.split(".")[0])
            inner = root / f"{name.replace('.', '/')}.py"
            if name.startswith("aux_motion") and inner.is_file():
                found |= imports(inner, root)
    return found


@pytest.mark.parametrize("name", ["predict", "ssm", "cell", "replay"])
def test_a_launch_file_needs_nothing_that_only_the_virtual_environment_has(root: Path, name: str) -> None:
    assert imports(root / "launch" / f"{name}.launch.py", root) <= ALLOWED


def test_arguments_are_described_and_mean_the_same_in_all_files(files) -> None:
    rows: dict[str, tuple] = {}
    for name in ("predict", "ssm"):
        for argument, default, choices, what in launch_stand_in.module(files(name)).ARGUMENTS:
            assert what and (choices is None or default in choices), argument
            assert rows.setdefault(argument, (default, choices)) == (default, choices), argument
    for argument, _, choices, what in launch_stand_in.module(files("cell")).ARGUMENTS:
        assert what and (argument == "rviz" or set(choices or ()) <= set(rows[argument][1] or ())), argument


def test_arguments_are_parameters_of_the_node(files) -> None:
    from aux_motion.nodes.parameters import NodeParameters
    from aux_motion_core.trackers import ALIASES, NAMES

    found, fields = launch_stand_in.module(files("predict")), NodeParameters.model_fields
    choices = {name: set(offered or ()) for name, _, offered, _ in found.ARGUMENTS}
    parameters = {*found.TEXTS, *found.SWITCHES, *found.LISTS}
    assert parameters <= {*fields, "use_sim_time"}
    assert all(get_origin(fields[name].annotation) is list for name in found.LISTS)
    other = {"params_file", "namespace", "model", "log_level", "namespaced_tf", "respawn"}
    assert set(choices) == other | parameters
    assert choices["tracker"] == {"", *NAMES, *ALIASES}
    assert choices["stamp_source"] == {"", *get_args(fields["stamp_source"].annotation)}


def test_what_is_given_wins_over_the_file_and_what_is_not_changes_nothing(files, root: Path) -> None:
    node = nodes(launch(files("predict"), fixed_frame="123", input_topics="a, b", mix="on", model="body20_25hz"))[
        "aux_motion_predictor"
    ]
    assert node.files == ["predictor.yaml"] and node.parameter("fixed_frame") == "123"
    assert node.parameter("input_topics") == ["a", "b"] and node.parameter("mix") is True
    assert Path(node.parameter("model_dir")).samefile(root / "models" / "body20_25hz")
    assert [node.parameter(n) for n in ("tracker", "autostart", "use_sim_time", "publish_occupancy")] == [None] * 4
    assert node.remappings == [] and node.respawn is False and node.ros_arguments == []
    text = (root / "setup.py").read_text()
    assert f"{node.executable} = aux_motion.nodes.predictor_main:main" in text


@pytest.mark.parametrize("order", [("predict", "ssm"), ("ssm", "predict")])
def test_predictor_and_monitor_in_one_file_do_not_take_each_others_arguments(files, robot, order) -> None:
    given = {"fixed_frame": "map", "robot": robot, "use_sim_time": "true"}
    found = nodes(launch(*map(files, order), **given))
    assert found["aux_motion_predictor"].files == ["predictor.yaml"]
    assert found["aux_motion_ssm"].files == ["ssm.yaml"] and found["aux_motion_ssm"].parameter("robot") == robot
    assert all(n.parameter("use_sim_time") is True for n in found.values())


def test_a_cell_has_predictor_monitor_and_rviz_in_one_namespace_and_frame(files, robot) -> None:
    given = {"fixed_frame": "hall", "robot": robot, "rviz": "true", "namespace": "robot1"}
    found = nodes(launch(files("cell"), namespaced_tf="true", respawn="true", log_level="warn", **given))
    assert set(found) == {"aux_motion_predictor", "aux_motion_ssm", "aux_motion_rviz"}
    assert all(n.namespace == "robot1" for n in found.values())
    assert all(n.remappings == [("/tf", "tf"), ("/tf_static", "tf_static")] for n in found.values())
    predictor, rviz = found["aux_motion_predictor"], found["aux_motion_rviz"]
    outputs = ("publish_occupancy", "publish_occupancy_markers", "publish_swept_volume")
    assert all(predictor.parameter(n) is True for n in outputs)
    assert predictor.respawn and predictor.ros_arguments == ["--log-level", "warn"]
    assert rviz.keywords["arguments"][0] == "-d" and rviz.keywords["arguments"][2:] == ["-f", "hall"]


def test_a_cell_without_a_robot_says_that_nothing_monitors(files, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("robot1:\n  aux_motion_predictor:\n    ros__parameters: {fixed_frame: hall}\n")
    context = launch(files("cell"), params_file=str(mine), namespace="robot1", rviz="true")
    assert set(nodes(context)) == {"aux_motion_predictor", "aux_motion_rviz"}
    assert nodes(context)["aux_motion_rviz"].keywords["arguments"][2:] == ["-f", "hall"], "the frame of the file"
    assert any("is not started" in str(a.keywords.get("msg")) for a in context.started)
    assert nodes(context)["aux_motion_predictor"].parameter("publish_occupancy") is True


def test_rviz_that_is_not_installed_is_named_before_anything_starts(files, tmp_path: Path) -> None:
    (tmp_path / "prefix" / "share" / "ament_index" / "resource_index" / "packages" / "rviz2").unlink()
    with pytest.raises(RuntimeError, match="rviz2 is not installed: apt install"):
        launch(files("cell"), fixed_frame="map", rviz="true")


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("predict", {"params_file": "absent.yaml"}, "params_file:=absent.yaml does not exist"),
        ("predict", {"autostart": "maybe"}, '"autostart" provided value "maybe"'),
        ("cell", {"log_level": "loud"}, '"log_level" provided value "loud"'),
        ("ssm", {}, "robot:= is required"),
        ("ssm", {"robot": "absent.yaml"}, "robot:=absent.yaml does not exist"),
        ("ssm", {"robot": "{robot}", "ssm_params_file": "absent.yaml"}, "ssm_params_file:=absent.yaml does not exist"),
        ("ssm", {"robot": "{robot}", "params_file": "{ssm}"}, "its file is ssm_params_file:="),
        ("cell", {"robot": "absent.yaml"}, "robot:=absent.yaml does not exist"),
    ],
)
def test_what_cannot_be_used_is_one_line(files, robot, root: Path, name: str, given: dict, says: str) -> None:
    ssm = str(root / "config" / "ssm.yaml")
    arguments = {k: v.format(robot=robot, ssm=ssm) for k, v in given.items()}
    with pytest.raises((RuntimeError, ArgumentError), match=".") as caught:
        launch(files(name), **arguments)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_replay_plays_predicts_and_records_by_the_time_of_the_bag(files, root: Path, monkeypatch) -> None:
    bag = root / "samples" / "sports2d_demo.mcap"
    look = [sys.executable, "-m", "aux_motion.cli"]
    replay = launch_stand_in.module(files("replay"))
    monkeypatch.setattr(replay, "AUX_MOTION", look)
    monkeypatch.setenv("ROS_DOMAIN_ID", os.environ["ROS_DOMAIN_ID"])
    context = launch_stand_in.Context({"bag": str(bag), "rate": "2", "player": "own", "out": "none"})
    context.visit(replay.generate_launch_description())
    node = nodes(context)["aux_motion_predictor"]
    assert node.parameter("fixed_frame") == "camera_floor" and node.parameter("input_topic") == "skeletons"
    assert node.parameter("use_sim_time") is True and node.parameter("autostart") is True
    (player,) = [a for a in context.started if a.keywords.get("name") == "player"]
    assert " ".join(player.cmd[3:]).startswith(f"play {bag} --topic skeletons --to skeletons --tracker aux_motion")
    assert "--rate 2" in " ".join(player.cmd) and player.cmd[-2:] == ["--wait-for", "1"]
    for given, says in (
        ({"bag": "nowhere.mcap"}, "no such bag: nowhere.mcap"),
        ({"bag": str(bag), "topic": "/other"}, "no topic '/other'"),
        ({"bag": str(bag), "rate": "fast"}, "rate:=fast: expected a number from 0.01"),
        ({"bag": str(bag), "domain": "400"}, "domain:=400: expected a number from 0 to 232"),
    ):
        with pytest.raises(RuntimeError, match=says):
            launch_stand_in.Context(given).visit(replay.generate_launch_description())
    command = replay.ros2_command({"bag": str(bag), "topic": "/people", "rate": "2.0", "start": "1.5", "loop": "true"})
    assert command[:6] == ["ros2", "bag", "play", str(bag), "--storage", "mcap"]
    assert "--clock 200 --rate 2.0 --start-offset 1.5" in " ".join(command) and "--loop" in command
    assert command[-4:] == ["--topics", "/people", "/tf", "/tf_static"]
