# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Build and run the planner in C++ (examples/cpp_planner) against the installed messages; needs cmake and a compiler.

python examples/cpp_planner.py
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "cpp_planner"


def main() -> None:
    """Configure, build, run."""
    prefix = os.environ.get("AMENT_PREFIX_PATH", sys.prefix)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "AMENT_PREFIX_PATH": prefix, "CMAKE_PREFIX_PATH": prefix, "PATH": path}
    with tempfile.TemporaryDirectory() as build:
        for command in (
            ["cmake", "-S", str(SOURCE), "-B", build, f"-DPython3_EXECUTABLE={sys.executable}"],
            ["cmake", "--build", build],
        ):
            done = subprocess.run(command, env=env, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(done.stdout + done.stderr)
        subprocess.run([str(Path(build) / "cpp_planner")], check=True)


if __name__ == "__main__":
    main()
