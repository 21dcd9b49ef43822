# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Message packages of others, built as their users have them: for real nodes over real DDS.

No wheel has tf2_msgs or the trackers' messages, so they are made from the interface files that the adapters ship (and
`TFMessage`, which is one line) and built by colcon, once, into the checkout's build folder.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.locks import one_at_a_time

ROOT = Path(__file__).resolve().parents[2]
INTERFACES = ROOT / "aux_motion_core" / "trackers" / "interfaces"
_TF = "MSG: tf2_msgs/msg/TFMessage\ngeometry_msgs/TransformStamped[] transforms\n"
_CMAKE = """cmake_minimum_required(VERSION 3.8)
project({name})
find_package(ament_cmake REQUIRED)
find_package(rosidl_default_generators REQUIRED)
{find}
rosidl_generate_interfaces({name} {files} DEPENDENCIES {depends})
ament_export_dependencies(rosidl_default_runtime)
ament_package()
"""
_PACKAGE = """<?xml version="1.0"?>
<package format="3">
  <name>{name}</name><version>0.0.0</version><description>for tests</description>
  <maintainer email="nobody@aux-motion.invalid">nobody</maintainer><license>Apache-2.0</license>
  <buildtool_depend>ament_cmake</buildtool_depend><buildtool_depend>rosidl_default_generators</buildtool_depend>
  <member_of_group>rosidl_interface_packages</member_of_group>
  <export><build_type>ament_cmake</build_type></export>
</package>
"""


def _ros2_field(line: str) -> str:
    """A field with a name that ROS 2 takes: `bodyParts` of a package of ROS 1 is `body_parts` in its ports."""
    kind, name = line.split()
    return f"{kind} " + re.sub("(?<=[a-z])([A-Z])", r"_\1", name).lower()


def _write(name: str, text: str, top: Path) -> None:
    folder = top / name
    (folder / "msg").mkdir(parents=True)
    files, depends = [], {"builtin_interfaces"}
    for part in re.split(r"^=+$", text, flags=re.MULTILINE):
        lines = [line for line in part.strip().splitlines() if line and not line.startswith("#")]
        kind = lines[0].removeprefix("MSG: ").split("/")[-1]
        (folder / "msg" / f"{kind}.msg").write_text("\n".join(map(_ros2_field, lines[1:])) + "\n")
        files.append(f'"msg/{kind}.msg"')
        depends |= {d for d in re.findall(r"^(\w+)/", "\n".join(lines[1:]), re.MULTILINE) if d != name}
    find = "\n".join(f"find_package({d} REQUIRED)" for d in sorted(depends))
    files, names = " ".join(files), " ".join(sorted(depends))
    (folder / "CMakeLists.txt").write_text(_CMAKE.format(name=name, files=files, find=find, depends=names))
    (folder / "package.xml").write_text(_PACKAGE.format(name=name))


#: The trackers' packages and TF, all together.
EVERY = (
    "tf2_msgs", "hri_msgs", "zed_msgs", "yolo_msgs", "skeleton_msgs", "ros_openpose", "opt_msgs", "mocap4r2_msgs",
    "jsk_recognition_msgs", "zed_interfaces", "mocap_msgs",
)  # fmt: skip
#: Earlier names of packages.
_TODAY = {"zed_interfaces": "zed_msgs", "mocap_msgs": "mocap4r2_msgs"}


def if_built() -> dict[str, str] | None:
    """As `built(*EVERY)`, or None where that was not done yet: it takes minutes."""
    return built(*EVERY) if (_folder(_texts(EVERY)) / "done").is_file() else None


def _texts(names: tuple[str, ...]) -> dict[str, str]:
    return {n: _TF if n == "tf2_msgs" else _interface(n) for n in names}


def _interface(name: str) -> str:
    today = _TODAY.get(name, name)
    return (INTERFACES / f"{today}.msg").read_text().replace(f"{today}/", f"{name}/")


def _folder(texts: dict[str, str]) -> Path:
    key = hashlib.sha256(f"{texts}{sys.version_info[:2]}{sys.prefix}{_CMAKE}".encode()).hexdigest()[:12]
    return ROOT / "build" / f"foreign_messages-{key}"


def _build(texts: dict[str, str], top: Path, env: dict[str, str]) -> None:
    shutil.rmtree(top, ignore_errors=True)
    for name, text in texts.items():
        _write(name, text, top / "src")
    command = [sys.executable, "-m", "colcon", "--log-base", str(top / "log"), "build", "--merge-install"]
    command += ["--base-paths", str(top / "src"), "--build-base", str(top / "build")]
    command += ["--install-base", str(top / "install"), "--cmake-args", "-DBUILD_TESTING=OFF"]
    command += [f"-DPython3_EXECUTABLE={sys.executable}"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    (top / "done").touch()


def built(*names: str) -> dict[str, str]:
    """Environment additions for a process that uses these packages (tf2_msgs or one of the trackers').

    None where they are installed, as in a ROS workspace.
    """
    if all(importlib.util.find_spec(name) for name in names):
        return {}
    if shutil.which("cmake") is None:
        pytest.skip("cmake is not installed")
    pytest.importorskip("colcon_core", reason="colcon is not installed")
    from tools.build_messages import clean_environment

    texts = _texts(names)
    top = _folder(texts)
    install = top / "install"
    with one_at_a_time(top.parent / f"{top.name}.lock"):
        if not (top / "done").is_file():
            _build(texts, top, clean_environment())
    site = install / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    return {
        "PYTHONPATH": str(site),
        "LD_LIBRARY_PATH": str(install / "lib"),
        "AMENT_PREFIX_PATH": os.pathsep.join([str(install), sys.prefix]),
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    print(built(*EVERY))
