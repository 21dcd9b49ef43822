"""The benchmark runs and its records have the promised keys."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytest.importorskip("aux_motion_msgs", reason="the messages are not built (make msgs)")

KEYS = {"stage", "backend", "people", "threads", "p50_ms", "p95_ms", "p99_ms"}


def test_every_stage_is_measured_for_every_number_of_people(root, tmp_path):
    out = tmp_path / "build" / "bench.json"
    command = [sys.executable, "-m", "aux_motion.cli", "bench", "--json", str(out)]
    command += ["--backend", "damped_pose"]
    command += ["--people", "1,3", "--threads", "1", "--rounds", "20", "--dds-seconds", "1"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    records = json.loads(out.read_text())
    assert isinstance(records, list) and all(set(r) >= KEYS for r in records)
    assert all(0.0 <= r["p50_ms"] <= r["p95_ms"] <= r["p99_ms"] for r in records)
    main = {(r["stage"], r["people"]) for r in records if r["backend"] == "damped_pose"}
    stages = ("convert", "resample", "backend", "publish", "total")
    assert main == {(s, n) for s in stages for n in (1, 3)} | {("end_to_end", 1)}
    assert {r["backend"] for r in records} >= {"zero_velocity", "constant_velocity"}
    (live,) = [r for r in records if r["stage"] == "end_to_end"]
    assert live["messages"] >= 15 and live["node_rss_mib"] > 10 and live["start_to_first_prediction_s"] > 0
    assert "end_to_end" in done.stdout
