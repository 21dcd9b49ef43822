"""Shared by all tests: the data folder, a private ROS domain, a colcon build of the workspace."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from aux_motion.commands.processes import private_domain

ROOT = Path(__file__).resolve().parent.parent

# Before any test module imports rclpy: nothing may be heard outside of this machine, or by another run on it.
private_domain()
# A shell's background job ignores SIGINT, and so would all processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


#: what builds something with colcon is tested by one worker, so that it is built once; these begin first
BUILDS = {
    "tests/test_package.py": "the workspace",
    "tests/ros/launch": "the workspace",
    "tests/ros/nodes/test_trackers.py": "foreign messages",
    "tests/ros/commands/test_play_transforms.py": "foreign messages",
    "tests/ros/commands/test_one_pipeline.py": "foreign messages",
}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The tests of a file share its fixtures, so one worker takes them all; a live test gets a second try.

    Live tests wait for processes on a machine that may be busy: a try more is shown as `R` and in the summary.
    """
    ordered = []
    for item in items:
        path = item.path.relative_to(ROOT).as_posix()
        built = next((what for start, what in BUILDS.items() if path.startswith(start)), "")
        item.add_marker(pytest.mark.xdist_group(built or path))
        if path.startswith("tests/ros/"):
            item.add_marker(pytest.mark.flaky(reruns=1))
        ordered.append((0 if built else 1 if path.startswith("tests/ros/") else 2, item))
    items[:] = [item for _, item in sorted(ordered, key=lambda pair: pair[0])]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The recordings' archives, beside the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the recordings are not here (../shared/data)")
    return folder


@pytest.fixture
def ros_domain_id() -> int:
    """The private domain of this run, for processes that a test starts."""
    return int(os.environ["ROS_DOMAIN_ID"])


@dataclass(frozen=True)
class Workspace:
    """A workspace after `colcon build`: its install folder, and an environment as after sourcing it."""

    install: Path
    env: dict[str, str]


@pytest.fixture(scope="session")
def built_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """`cd ros2_ws && colcon build` in a copy of the checkout, against the ROS of this environment."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    pytest.importorskip("colcon_core", reason="colcon is not installed")
    from tools.build_messages import clean_environment

    top = tmp_path_factory.mktemp("checkout") / "aux_motion"
    left_out = (".*", "build", "install", "log", "__pycache__", "*.egg-info", "training", "tests")
    shutil.copytree(ROOT, top, symlinks=True, ignore=shutil.ignore_patterns(*left_out))
    workspace = top / "ros2_ws"
    command = [sys.executable, "-m", "colcon", "build", "--cmake-args", "-DBUILD_TESTING=OFF"]
    command += [f"-DPython3_EXECUTABLE={sys.executable}"]
    env = clean_environment()
    done = subprocess.run(command, cwd=workspace, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    install = workspace / "install"
    packages = [install / "aux_motion", install / "aux_motion_msgs"]
    tag = f"python{sys.version_info.major}.{sys.version_info.minor}"
    env["AMENT_PREFIX_PATH"] = os.pathsep.join([*map(str, packages), sys.prefix])
    env["PYTHONPATH"] = os.pathsep.join(str(p / "lib" / tag / "site-packages") for p in packages)
    env["LD_LIBRARY_PATH"] = os.pathsep.join([str(install / "aux_motion_msgs" / "lib"), f"{sys.prefix}/lib"])
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        env[name] = os.environ[name]
    return Workspace(install, env)
