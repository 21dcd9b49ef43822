# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Build `aux_motion_msgs` with colcon against the ROS wheels of this virtual environment.

Run it with the interpreter of that environment: `.venv/bin/python tools/build_messages.py`. The messages
are installed into the environment, so that `import aux_motion_msgs` needs no sourcing. Nothing happens when
they are up to date.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "ros2_ws" / "src" / "aux_motion_msgs"
PREFIX = Path(sys.prefix)
STAMP = PREFIX / "share" / "aux_motion_msgs" / "built_from.sha256"


def clean_environment() -> dict[str, str]:
    """The process environment without what a sourced ROS left, pointed at this virtual environment."""
    env = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AMENT_", "COLCON_", "ROS_", "_ROS_"))
        and name not in {"PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "CMAKE_PREFIX_PATH", "MAKEFLAGS", "MAKELEVEL"}
    }
    env["PATH"] = f"{PREFIX / 'bin'}{os.pathsep}{env.get('PATH', os.defpath)}"
    env["VIRTUAL_ENV"] = str(PREFIX)
    env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(PREFIX)
    return env


def numpy_include() -> str:
    """Folder of numpy's C headers in this environment."""
    import numpy

    return numpy.get_include()


def patch_wheels() -> int:
    """Point the wheels' CMake files to this interpreter's and numpy's headers instead of the wheel builder's.

    Returns:
        How many files were changed; 0 when all of them were already right.
    """
    python_include = sysconfig.get_paths()["include"]
    if not (Path(python_include) / "Python.h").is_file():
        raise SystemExit(f"Python.h is not in {python_include}: install the headers (apt install python3-dev)")
    changed = 0
    for file in PREFIX.glob("share/*/cmake/*.cmake"):
        before = file.read_text(encoding="utf-8")
        after = re.sub(r"/opt/python/[^;\"\s]*/numpy/(_core|core)/include", numpy_include(), before)
        after = re.sub(r"/opt/python/[^;\"\s]*/include/python3\.\d+", python_include, after)
        if after != before:
            file.write_text(after, encoding="utf-8")
            changed += 1
    return changed


def digest() -> str:
    """Changes with the message sources, the interpreter, numpy's headers and the generators."""
    text = hashlib.sha256()
    for file in sorted(p for p in PACKAGE.rglob("*") if p.is_file()):
        text.update(str(file.relative_to(PACKAGE)).encode())
        text.update(file.read_bytes())
    for name in (
        "ros-rosidl-generator-py",
        "ros-rosidl-generator-cpp",
        "ros-rosidl-typesupport-fastrtps-cpp",
    ):
        text.update(metadata.version(name).encode())
    text.update(f"{sys.version_info[:2]} {numpy_include()} {PREFIX}".encode())
    return text.hexdigest()


def up_to_date(wanted: str) -> bool:
    """True when the installed messages were built from these sources and are still there."""
    library = PREFIX / "lib" / "libaux_motion_msgs__rosidl_typesupport_cpp.so"
    return STAMP.is_file() and STAMP.read_text().strip() == wanted and library.is_file()


def main() -> int:
    """Build when needed.

    Returns:
        The exit status: 0 when the messages are importable afterwards.
    """
    if sys.prefix == sys.base_prefix:
        raise SystemExit("run this with the python of a virtual environment, e.g. .venv/bin/python")
    try:
        wanted = digest()
    except metadata.PackageNotFoundError as error:
        raise SystemExit(f"{error.name} is not installed here: run `make msgs`, or pip install -e '.[ros]'") from None
    if "--force" not in sys.argv[1:] and up_to_date(wanted):
        return 0
    for tool in ("cmake", "make", "c++"):
        if shutil.which(tool, path=clean_environment()["PATH"]) is None:
            raise SystemExit(f"{tool} is not installed; building the messages needs it: apt install cmake make g++")
    patched = patch_wheels()
    print(
        f"building aux_motion_msgs into {PREFIX.name} ({patched} CMake files of the wheels adapted)",
        flush=True,
    )
    work = (
        ROOT
        / "build"
        / f"messages-{sys.implementation.cache_tag}-{hashlib.sha256(str(PREFIX).encode()).hexdigest()[:8]}"
    )
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    command = [sys.executable, "-m", "colcon", "--log-base", str(work / "log"), "build", "--merge-install"]
    command += [
        "--base-paths",
        str(PACKAGE),
        "--build-base",
        str(work / "build"),
        "--install-base",
        str(PREFIX),
    ]
    command += [
        "--cmake-args",
        "-DBUILD_TESTING=OFF",
        "-DCMAKE_BUILD_TYPE=Release",
        f"-DPython3_EXECUTABLE={sys.executable}",
    ]
    done = subprocess.run(
        command,
        env=clean_environment(),
        cwd=work,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(done.stdout[-6000:], file=sys.stderr)
        print("the messages were not built, see above", file=sys.stderr)
        return 1
    STAMP.write_text(wanted + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
