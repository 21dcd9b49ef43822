# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is declared, and what `cd ros2_ws && colcon build` puts where ROS looks for it."""

from __future__ import annotations

import ast
import configparser
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

MESSAGES = (
    "SkeletonArray",
    "PersonPrediction",
    "PredictionArray",
    "SelfCheck",
    "OccupancyArray",
    "PersonOccupancy",
    "SeparationStatus",
)


def run(*command: object, env: dict[str, str], cwd: Path) -> str:
    """Standard output of a command that must succeed."""
    arguments = [str(c) for c in command]
    done = subprocess.run(arguments, env=env, cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("manifest", ["package.xml", "ros2_ws/src/aux_motion_msgs/package.xml"])
def test_manifest_is_complete(root: Path, manifest: str) -> None:
    package = ElementTree.parse(root / manifest).getroot()
    assert package.get("format") == "3"
    assert package.findtext("license") == "Apache-2.0"
    assert package.findtext("export/build_type") in ("ament_python", "ament_cmake")
    assert package.findtext("version") == ElementTree.parse(root / "package.xml").findtext("version")


def test_version_is_the_same_in_setup_and_manifest(root: Path) -> None:
    calls = [n for n in ast.walk(ast.parse((root / "setup.py").read_text())) if isinstance(n, ast.Call)]
    setup = next(c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "setup")
    version = next(ast.literal_eval(k.value) for k in setup.keywords if k.arg == "version")
    assert ElementTree.parse(root / "package.xml").getroot().findtext("version") == version


def test_ros_packages_that_are_imported_are_declared(root: Path) -> None:
    declared = {e.text for e in ElementTree.parse(root / "package.xml").getroot().iter("exec_depend")}
    imported = set()
    for file in [*(root / "aux_motion").rglob("*.py"), *(root / "launch").glob("*.py")]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    ros = imported & {"rclpy", "launch", "launch_ros", "ament_index_python"}
    ros |= {n for n in imported if n.endswith(("_msgs", "_interfaces"))}
    ros |= {"tf2_ros_py"} if "tf2_ros" in imported else set()
    assert "rclpy" in ros
    assert ros <= declared, f"add to package.xml: {sorted(ros - declared)}"


def test_every_dependency_has_its_rosdep_key_or_is_named_where_pip_installs_it(root: Path) -> None:
    calls = [n for n in ast.walk(ast.parse((root / "setup.py").read_text())) if isinstance(n, ast.Call)]
    setup = next(c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "setup")
    wanted = next(ast.literal_eval(k.value) for k in setup.keywords if k.arg == "install_requires")
    names = {re.match(r"[\w-]+", requirement)[0] for requirement in wanted}
    declared = {e.text for e in ElementTree.parse(root / "package.xml").getroot().iter("exec_depend")}
    keys = {n: f"python3-{n.removeprefix('py')}" if n == "pyyaml" else f"python3-{n}" for n in names}
    without = {n for n, key in keys.items() if not {key, f"{key}-pip"} & declared}
    assert without == {"mcap", "zstandard", "threadpoolctl"}, "rosdep knows the others"
    for page in ("README.md", "docs/robot.md"):
        text = (root / page).read_text(encoding="utf-8").replace("\\\n", " ")
        (command,) = re.findall(r"^pip install ('numpy<2'.*)$", text, re.M)
        given = {re.match(r"[\w-]+", word.strip("'"))[0] for word in command.split()}
        assert names - {"pyyaml"} <= given, f"{page}: the list of pip, without what ROS brings"


def test_both_packages_carry_licence_changelog_address_and_copyright(root: Path) -> None:
    for folder in (root, root / "ros2_ws" / "src" / "aux_motion_msgs"):
        package = ElementTree.parse(folder / "package.xml").getroot()
        assert package.find("url") is not None and ".invalid" not in package.find("maintainer").get("email")
        assert (folder / "LICENSE").read_text() == (root / "LICENSE").read_text()
        version = package.findtext("version")
        assert re.search(rf"^{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)$", (folder / "CHANGELOG.rst").read_text(), re.M)


def test_every_source_file_has_its_copyright_header(root: Path) -> None:
    if not (root / ".git").exists():
        pytest.skip("no git checkout")
    from tools.copyright_headers import sources, without_header

    files = sources()
    assert len(files) > 300 and without_header(files) == []


def test_rosdep_and_release_tools_find_both_packages_by_the_two_folders(root: Path) -> None:
    packages = pytest.importorskip("catkin_pkg.packages", reason="catkin_pkg is not installed")
    found = [packages.find_packages(str(root / folder)) for folder in (".", "ros2_ws/src/aux_motion_msgs")]
    assert [[p.name for p in some.values()] for some in found] == [["aux_motion"], ["aux_motion_msgs"]]
    assert "rosdep install --from-paths . ros2_ws/src/aux_motion_msgs" in (root / "README.md").read_text()


def test_scripts_land_in_lib(root: Path) -> None:
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    assert config["install"]["install_scripts"] == "$base/lib/aux_motion"
    assert config["develop"]["script_dir"] == "$base/lib/aux_motion"


def test_pyproject_declares_no_project(root: Path) -> None:
    # A [project] table without scripts makes setuptools drop the console scripts of setup.py.
    assert "[project]" not in (root / "pyproject.toml").read_text().split("\n")


def test_workspace_finds_both_packages(root: Path) -> None:
    link = root / "ros2_ws" / "src" / "aux_motion"
    assert link.is_symlink() and os.readlink(link) == "../.."


def test_both_packages_are_found_in_a_workspace_of_ones_own(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("colcon_core", reason="colcon is not installed")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "aux_motion").symlink_to(root)
    arguments = ["list", "--names-only", "--base-paths", "src", "src/aux_motion/ros2_ws/src"]
    out = run(sys.executable, "-m", "colcon", *arguments, env=dict(os.environ), cwd=tmp_path)
    assert sorted(out.split()) == ["aux_motion", "aux_motion_msgs"]


def test_message_cmake_lists_every_message(root: Path) -> None:
    package = root / "ros2_ws" / "src" / "aux_motion_msgs"
    files = {f"msg/{file.name}" for file in (package / "msg").iterdir()}
    assert files == {f"msg/{name}.msg" for name in MESSAGES}
    cmake = (package / "CMakeLists.txt").read_text()
    assert all(f'"{file}"' in cmake for file in files)


def test_shipped_parameters_are_known_and_in_range(root: Path) -> None:
    pytest.importorskip("rclpy")
    from aux_motion.nodes import parameters

    values = yaml.safe_load((root / "config" / "predictor.yaml").read_text())["/**"]["ros__parameters"]
    assert set(values) <= set(parameters.NodeParameters.model_fields)
    assert "fixed_frame" not in values, "one that is forgotten must be asked for, not be map"
    parameters.validate({**values, "fixed_frame": "map"})
    # The file shows the defaults: what it says and the node says must not drift apart.
    assert values == {n: parameters.NodeParameters.model_fields[n].default for n in values}


def test_rviz_layout_shows_the_markers(root: Path) -> None:
    layout = yaml.safe_load((root / "config" / "cell.rviz").read_text())["Visualization Manager"]
    markers = [d for d in layout["Displays"] if d["Class"] == "rviz_default_plugins/MarkerArray"]
    assert [d["Topic"]["Value"] for d in markers] == ["markers", "occupancy_markers", "separation_markers"]
    shown = {d["Class"].split("/")[1]: d for d in layout["Displays"]}
    assert shown["PointCloud2"]["Topic"]["Value"] == "swept_volume" and "RobotModel" in shown
    assert all(d["Topic"]["Reliability Policy"] == "Reliable" for d in markers)
    assert layout["Global Options"]["Fixed Frame"] == "map"


def test_foxglove_layout_names_topics_and_fields_that_there_are(root: Path) -> None:
    from aux_motion_core.bags.definitions import typestore

    layout = json.loads((root / "config" / "foxglove.json").read_text())

    def panels(part: object) -> list[str]:
        return [part] if isinstance(part, str) else panels(part["first"]) + panels(part["second"])

    assert sorted(panels(layout["layout"])) == sorted(layout["configById"])
    kinds = {
        "/separation": "aux_motion_msgs/msg/SeparationStatus",
        "/predictions": "aux_motion_msgs/msg/PredictionArray",
        **{f"/evaluation/error_mm_at_{h}s": "std_msgs/msg/Float32" for h in ("0_2", "0_4", "1_0")},
    }
    store = typestore()
    paths = [p["value"] for panel in layout["configById"].values() for p in panel.get("paths", ())]
    assert len(paths) == 8
    for path in paths:
        topic, *fields = re.sub(r"\[\d+\]", "", path).split(".")
        kind = kinds[topic]
        for field in fields:
            known = dict(store.fielddefs[kind][1])
            assert field in known, path
            detail = known[field][1]
            kind = detail[0][1] if isinstance(detail[0], tuple) else detail
    shown = layout["configById"]["3D!people"]["topics"]
    assert set(shown) == {"/markers", "/evaluation/seen_later", "/occupancy_markers", "/separation_markers"}


@pytest.mark.timeout(400)
def test_colcon_build_puts_everything_where_ros_looks(built_workspace, root: Path, tmp_path: Path) -> None:
    package = built_workspace.install / "aux_motion"
    for script in ("aux_motion_predictor", "aux_motion_ssm", "aux-motion"):
        assert os.access(package / "lib" / "aux_motion" / script, os.X_OK), script
    share = package / "share" / "aux_motion"
    assert (share / "package.xml").is_file()
    for file in ("launch/predict.launch.py", "launch/cell.launch.py", "config/predictor.yaml", "config/cell.rviz"):
        assert (share / file).is_file(), file
    for file in ("config/robot_example.yaml", "config/foxglove.json", "samples/sports2d_demo.mcap", "docs/robot.md"):
        assert (share / file).is_file(), file
    names = [file.name for file in share.rglob("*.launch.py")]
    assert len(names) == len(set(names)), "`ros2 launch` refuses a name that is there twice"
    models = [m.parent.relative_to(root) for m in (root / "models").glob("*/model.json")]
    for model in models:
        for file in ("model.onnx", "model.json"):
            assert (share / model / file).is_file(), f"{model}/{file}"
    assert (package / "share/ament_index/resource_index/packages/aux_motion").is_file()

    header = "include/aux_motion_msgs/aux_motion_msgs/prediction_view.hpp"
    assert (built_workspace.install / "aux_motion_msgs" / header).is_file()


@pytest.mark.timeout(400)
def test_built_packages_are_importable_and_only_they(built_workspace, tmp_path: Path) -> None:
    code = (
        "import aux_motion, aux_motion_core, aux_motion_msgs.msg as m\n"
        "import importlib.util, pathlib\n"
        "assert importlib.util.find_spec('training') is None\n"
        f"for name in {MESSAGES!r}: getattr(m, name)()\n"
        "core = pathlib.Path(aux_motion_core.__file__).parent\n"
        "print(aux_motion.__file__, m.__file__, len(list((core / 'msg').glob('*.msg'))))\n"
    )
    out = run(sys.executable, "-c", code, env=built_workspace.env, cwd=tmp_path).split()
    assert all(path.startswith(str(built_workspace.install)) for path in out[:2]), out
    assert out[2] == str(len(MESSAGES))


@pytest.mark.timeout(400)
def test_built_command_line_starts(built_workspace, tmp_path: Path) -> None:
    (tmp_path / "try.sh").write_text(
        f". {built_workspace.install}/setup.sh >/dev/null && command -v aux-motion && aux-motion --help && "
        "aux-motion describe samples/sports2d_demo.mcap\n"  # of the installed ones, wherever one is
    )
    env = {**built_workspace.env, "COLCON_CURRENT_PREFIX": str(built_workspace.install)}
    out = run("sh", tmp_path / "try.sh", env=env, cwd=tmp_path)
    assert out.startswith(f"{built_workspace.install}/aux_motion/bin/aux-motion") and "'camera_floor'" in out
    for command in ("run", "track", "predict", "bench", "play"):
        assert command in out
