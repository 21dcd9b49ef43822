# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Shared by all tests: the data folder, a private ROS domain, one thread a process, a colcon build of the workspace."""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.locks import one_at_a_time

from aux_motion.commands.processes import private_domain

ROOT = Path(__file__).resolve().parent.parent
#: Of the extras `test` and `training`; what else is missing is an error.
EXTRAS = {
    "click",
    "hypothesis",
    "mapie",
    "torch",
    "safetensors",
    "onnx",
    "onnxscript",
    "pybvh",
    "tensorboard",
    "matplotlib",
}
LEFT_OUT: dict[Path, list[str]] = {}

# Before any test module imports rclpy: nothing may be heard outside of this machine, or by another run on it.
private_domain()
# A worker a core runs these tests: threads that torch and BLAS start beside it would spin and wait for each other. Read
# when either is first imported, here and in all processes that the tests start.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# A shell's background job ignores SIGINT, and so would all processes that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


def _needs(file: Path, seen: set[Path] | None = None) -> set[str]:
    """Modules that a file imports at its top, and those of this checkout that it imports."""
    seen = set() if seen is None else seen
    found: set[str] = set()
    if file in seen:
        return found
    seen.add(file)
    for part in ast.parse(file.read_text(encoding="utf-8")).body:
        names = [a.name for a in part.names] if isinstance(part, ast.Import) else []
        if isinstance(part, ast.ImportFrom) and part.module:
            names = [part.module, *(f"{part.module}.{a.name}" for a in part.names)]
        for name in names:
            for place in (ROOT / name.replace(".", "/"), ROOT / "tests" / name.replace(".", "/")):
                if place.with_suffix(".py").is_file():
                    found |= _needs(place.with_suffix(".py"), seen)
            found.add(name.split(".")[0])
    return found


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out what needs an extra that is not installed, as in a ROS workspace: `colcon test` runs the others."""
    if collection_path.suffix != ".py" or not collection_path.name.startswith("test_"):
        return None
    missing = sorted(n for n in _needs(collection_path) if n in EXTRAS and importlib.util.find_spec(n) is None)
    if missing:
        LEFT_OUT[collection_path] = missing
    return True if missing else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was left out."""
    if LEFT_OUT:
        names = ", ".join(sorted({name for missing in LEFT_OUT.values() for name in missing}))
        line = f"{len(LEFT_OUT)} files left out, {names} not installed: pip install 'aux_motion[test,training]'"
        terminalreporter.write_line(line, yellow=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Live tests come first, because they mostly wait, and get a second try; then those that take long, so that at the
    end no worker waits for another's file.

    They wait for processes on a machine that may be busy: a second try is shown as `R` and in the summary.
    """
    live, training, core = (ROOT / "tests" / name for name in ("ros", "training", "core"))
    for item in items:
        if item.path.is_relative_to(live):
            item.add_marker(pytest.mark.flaky(reruns=1))
    parts = (live, training)

    def place(item: pytest.Item) -> int:
        first = next((k for k, part in enumerate(parts) if item.path.is_relative_to(part)), len(parts))
        return first + item.path.is_relative_to(core)

    items.sort(key=place)


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
    """`cd ros2_ws && colcon build` in a copy of the checkout, with the ROS of this environment, once."""
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    pytest.importorskip("colcon_core", reason="colcon is not installed")
    if not (Path(sys.prefix) / "share" / "rosidl_default_generators").is_dir():
        pytest.skip("ROS is not in this virtual environment: in a workspace colcon has built the package already")
    from tools.build_messages import clean_environment

    own = tmp_path_factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    top = shared / "checkout" / "aux_motion"
    with one_at_a_time(shared / "checkout.lock"):
        if not (top / "built").is_file():
            _build(top, clean_environment())
    return _workspace(top, clean_environment())


def _build(top: Path, env: dict[str, str]) -> None:
    left_out = (".*", "build", "install", "log", "__pycache__", "*.egg-info", "training", "tests")
    shutil.copytree(ROOT, top, symlinks=True, ignore=shutil.ignore_patterns(*left_out))
    command = [sys.executable, "-m", "colcon", "build", "--cmake-args", "-DBUILD_TESTING=OFF"]
    command += [f"-DPython3_EXECUTABLE={sys.executable}"]
    done = subprocess.run(command, cwd=top / "ros2_ws", env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    (top / "built").touch()


def _workspace(top: Path, env: dict[str, str]) -> Workspace:
    install = top / "ros2_ws" / "install"
    packages = [install / "aux_motion", install / "aux_motion_msgs"]
    tag = f"python{sys.version_info.major}.{sys.version_info.minor}"
    env["AMENT_PREFIX_PATH"] = os.pathsep.join([*map(str, packages), sys.prefix])
    env["PYTHONPATH"] = os.pathsep.join(str(p / "lib" / tag / "site-packages") for p in packages)
    env["LD_LIBRARY_PATH"] = os.pathsep.join([str(install / "aux_motion_msgs" / "lib"), f"{sys.prefix}/lib"])
    for name in ("ROS_DOMAIN_ID", "ROS_AUTOMATIC_DISCOVERY_RANGE"):
        env[name] = os.environ[name]
    return Workspace(install, env)
