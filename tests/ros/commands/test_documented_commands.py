# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The commands of README and docs that go on until Ctrl-C: each starts, speaks, and ends in order."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.pages import FENCE, ROOT, words

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

LIVE = re.compile(r"^ *aux-motion (?=(?:run|ssm|view)\b)(.*)$", re.M)
#: What the pages' recordings are called.
RECORDINGS = ("cell_4.mcap", "recording.mcap", "my_recording.mcap")
PATIENCE_S = 60.0


def live_commands(page: Path) -> list[list[str]]:
    """The commands of a page that last, once each."""
    text = page.read_text(encoding="utf-8")
    lines = [m[1] for block in FENCE.finditer(text) for m in LIVE.finditer(block[3].replace("\\\n", " "))]
    return [list(command) for command in dict.fromkeys(tuple(words(line)) for line in lines) if "..." not in command]


def folder_of_a_reader(folder: Path, installed: Path) -> Path:
    """A folder in which the names that the pages use exist."""
    folder.mkdir()
    for name in ("config", "models", "samples"):
        (folder / name).symlink_to(installed / name)
    for name in RECORDINGS:
        shutil.copy(ROOT / "samples" / "sports2d_demo.mcap", folder / name)
    shutil.copy(ROOT / "config" / "robot_example.yaml", folder / "my_robot.yaml")
    return folder


def run_until_spoken(
    commands: list[list[str]], program: list[str], cwd: Path, env: dict[str, str], logs_in: Path
) -> dict[str, tuple[int, str]]:
    """{command: exit code and output} of commands that run together, each interrupted when all have said something."""
    logs = [logs_in / f"command_{k}.log" for k in range(len(commands))]
    processes = []
    for command, log in zip(commands, logs):
        with log.open("w") as out:
            processes.append(
                subprocess.Popen([*program, *command], cwd=cwd, env=env, stdout=out, stderr=subprocess.STDOUT)
            )
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and not all(log.stat().st_size for log in logs):
        time.sleep(0.1)
    for process in processes:
        process.send_signal(signal.SIGINT)
    codes = [process.wait(timeout=30) for process in processes]
    return {" ".join(c): (code, log.read_text()) for c, code, log in zip(commands, codes, logs)}


PAGES = [ROOT / "README.md", *(ROOT / "docs" / name for name in ("robot.md", "view.md"))]


def check(ended: dict[str, tuple[int, str]]) -> None:
    for command, (code, said) in ended.items():
        assert code == 0 and said.strip(), f"aux-motion {command} ended with {code}:\n{said}"
        assert "Traceback" not in said, f"aux-motion {command}:\n{said}"


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_lasts_starts_and_ends_in_order(page: Path, tmp_path: Path, domain: int) -> None:
    commands = [c for c in live_commands(page) if "build/eval" not in c]  # an evaluation's page has a test of its own
    assert commands
    if any(command[0] == "view" for command in commands):
        pytest.importorskip("viser", reason="viser is not installed (pip install 'aux_motion[view]')")
    env = {**os.environ, "ROS_DOMAIN_ID": str(domain), "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    folder = folder_of_a_reader(tmp_path / "desk", ROOT)
    program = [sys.executable, "-u", "-m", "aux_motion.cli"]
    check(run_until_spoken(commands, program, folder, env, tmp_path))


@pytest.mark.slow
def test_the_robots_commands_run_from_the_installed_share_folder(built_workspace, tmp_path: Path, domain: int) -> None:
    commands = live_commands(ROOT / "README.md")
    assert {"run", "ssm"} <= {c[0] for c in commands}
    share = built_workspace.install / "aux_motion" / "share" / "aux_motion"
    env = {**built_workspace.env, "ROS_DOMAIN_ID": str(domain), "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    program = [str(built_workspace.install / "aux_motion" / "bin" / "aux-motion")]
    check(run_until_spoken(commands, program, share, env, tmp_path))
