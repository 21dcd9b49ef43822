# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The demo with real processes over DDS, on a short bag."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from importlib.util import find_spec

import pytest

from aux_motion_core.bags.writer import BagWriter
from aux_motion_core.testing import synthetic

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")


def demo(root, bag, out, *arguments):
    command = [sys.executable, "-m", "aux_motion.benchmarks.demo", "--bag", str(bag), "--out", str(out), *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=100)


def write(path, frames):
    with BagWriter(path) as writer:
        for frame in frames:
            writer.write("/skeletons", frame, frame.stamp_ns)
    return path


def test_the_whole_bag_is_predicted_live_with_the_offline_numbers(root, tmp_path):
    frames = synthetic.frames(1, 4.0)
    out = tmp_path / "demo"
    done = demo(root, write(tmp_path / "walk.mcap", frames), out, "--backend", "damped_pose")
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames_in"] == len(frames)
    assert 0.9 * len(frames) - 12 <= summary["predictions"] <= len(frames)
    assert set(summary["latency_ms"]) == {"p50", "p95", "p99"}
    assert 0.0 < summary["latency_ms"]["p50"] < 1000.0
    assert summary["input_rate_hz"] == pytest.approx(30.0, abs=0.5)
    for horizon in ("0.4", "1.0"):
        row = summary["mpjpe_mm"][horizon]
        # the node ran this baseline: what came over DDS is what the predictor gives without it
        assert row["model"] == pytest.approx(row["damped_pose"], rel=0.02, abs=0.5)
        assert row["zero_velocity"] > row["damped_pose"] > 0.0
    assert "error in mm after" in done.stdout and "zero_velocity" in done.stdout
    if find_spec("matplotlib"):
        assert (out / "prediction.png").stat().st_size > 20_000
    last = done.stdout.splitlines()[-1]
    assert last.startswith("look at it in the browser: ") and last.endswith("walk.mcap --backend damped_pose")


def test_it_shows_the_page_afterwards(root, tmp_path):
    pytest.importorskip("viser", reason="viser is not installed (pip install 'aux_motion[view]')")
    bag = write(tmp_path / "walk.mcap", synthetic.frames(1, 1.0))
    command = [sys.executable, "-m", "aux_motion.benchmarks.demo", "--bag", str(bag), "--out", str(tmp_path / "demo")]
    process = subprocess.Popen(
        [*command, "--backend", "damped_pose", "--view"], cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, env={**os.environ, "BROWSER": "true"},
    )  # fmt: skip
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "look at http" in line:
                break
        address = re.search(r"http://\S+", said[-1])
        assert address, "".join(said)
        with urllib.request.urlopen(address[0].replace("localhost", "127.0.0.1"), timeout=10) as page:
            assert b"<html" in page.read(2000).lower()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=15) == 0
    finally:
        process.kill()
        process.wait()


def test_it_fails_when_nothing_was_predicted(root, tmp_path):
    """Too short for any history."""
    bag = write(tmp_path / "short.mcap", synthetic.frames(1, 0.1))
    done = demo(root, bag, tmp_path / "demo", "--backend", "zero_velocity")
    assert done.returncode == 2
    assert "nothing was predicted from 3 messages" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "demo" / "summary.json").exists()


def test_a_node_that_cannot_start_is_named(root, tmp_path):
    bag = write(tmp_path / "walk.mcap", synthetic.frames(1, 0.5))
    done = demo(root, bag, tmp_path / "demo", "--model", str(tmp_path / "nomodel"))
    assert done.returncode == 2
    assert "nomodel" in done.stderr and "Traceback" not in done.stderr
