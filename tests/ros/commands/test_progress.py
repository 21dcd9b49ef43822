# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Progress on what takes seconds: shown on a terminal with what is done and how long yet, and nowhere else."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

import pytest

from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.testing import synthetic


@pytest.fixture(scope="module")
def walk(tmp_path_factory):
    path = tmp_path_factory.mktemp("bag") / "walk.mcap"
    with BagWriter(path) as out:
        for frame in synthetic.frames(1, 3.0):
            out.write("/skeletons", frame, frame.stamp_ns)
    return path


def on_a_terminal(root, *arguments, patience_s=120.0, code=0):
    """What a command says on a terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 120, 0, 0))  # lines, columns
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)], cwd=root, stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    said, end = b"", time.monotonic() + patience_s
    while time.monotonic() < end:
        ready, _, _ = select.select([master], [], [], 0.1)
        try:
            said += os.read(master, 65536) if ready else b""
        except OSError:  # the other side is closed
            break
        if process.poll() is not None and not ready:
            break
    os.close(master)
    ended = process.wait(timeout=10)
    assert code is None or ended == code, said.decode(errors="replace")
    return said.decode(errors="replace")


def without_one(root, *arguments):
    done = subprocess.run([sys.executable, "-m", *map(str, arguments)], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


BAR = re.compile(r"\d+%\|.*\d+:\d+<")


def test_evaluate(root, walk, tmp_path):
    command = ["aux_motion.cli", "evaluate", walk, "--out", tmp_path, "--backend", "damped_pose", "--no-annotated"]
    said = on_a_terminal(root, *command)
    assert "walk.mcap" in said and BAR.search(said) and " messages" in said
    assert "\r" not in without_one(root, *command) and not BAR.search(without_one(root, *command))


def test_animation(root, walk, tmp_path):
    pytest.importorskip("PIL", reason="pillow is not installed")
    command = ["aux_motion.commands.animation", "--bag", walk, "--out", tmp_path / "w.webp", "--width", "160"]
    said = on_a_terminal(root, *command)
    assert "predicting" in said and " pictures" in said and BAR.search(said)
    assert without_one(root, *command).count("\n") == 1


def test_play_and_demo(root, walk, tmp_path):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")
    said = on_a_terminal(root, "aux_motion.cli", "play", walk, "--wait-for", "0")
    assert re.search(r"playing: [12]\.\d of 3\.0 s \[00:0\d passed, 00:0\d left\]", said), said
    assert without_one(root, "aux_motion.cli", "play", walk, "--wait-for", "0").count("\n") == 1
    command = ["aux_motion.benchmarks.demo", "--bag", walk, "--out", tmp_path / "demo", "--backend", "damped_pose"]
    said = on_a_terminal(root, *command)
    assert re.search(r"playing: +\d+%.*/90", said) and re.search(r"judging: +\d+%", said)


def test_soak(root):
    pytest.importorskip("rclpy", reason="rclpy is not installed")
    pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")
    command = ["aux_motion.cli", "soak", "--minutes", "0.1", "--people", "1", "--rate", "10"]
    said = on_a_terminal(root, *command, "--backend", "damped_pose", code=None)  # the verdicts are another matter
    assert re.search(r"running: +\d+%\|.*\d+/6 \[", said), said
