"""`aux-motion ssm --demo` from a checkout with its samples."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the picture needs matplotlib")


def test_the_demo_writes_table_picture_and_figures(root: Path, tmp_path: Path, monkeypatch) -> None:
    from aux_motion.benchmarks import ssm_demo

    monkeypatch.setitem(ssm_demo.TIERS, "sample", (1, ssm_demo.TIERS["sample"][1]))
    motions = ssm_demo.sample_motions
    monkeypatch.setattr(ssm_demo, "sample_motions", lambda folder: motions(folder)[:2])
    summary = ssm_demo.run(tmp_path / "ssm", progress=False)
    assert json.loads((tmp_path / "ssm" / "summary.json").read_text()) == summary
    assert (tmp_path / "ssm" / "ssm.png").read_bytes()[:4] == b"\x89PNG"
    table = (tmp_path / "ssm" / "table.txt").read_text()
    assert table == ssm_demo.text(summary) + "\n"
    monitors = summary["overall"]["monitors"]
    assert list(monitors) == list(ssm_demo.MONITORS) and all(name in table for name in monitors)
    free = monitors["unmonitored"]
    assert free["time_lost_percent"] == 0.0 and free["moving_s"] == pytest.approx(free["seconds"], abs=0.01)
    for name, figures in monitors.items():
        assert 0.0 <= figures["time_lost_percent"] <= 100.0 and figures["violated_s"] <= figures["moving_s"], name
    for monitor in ssm_demo.PREDICTIONS:
        assert sum(summary["kinds_of_bound"][monitor].values()) == pytest.approx(1.0, abs=0.01)
    assert summary["kinds_of_bound"]["separation"]["separation"] > 0.5
    gain = summary["overall"]["against_fixed_speed"]["separation"]
    lost = {n: f["time_lost_percent"] for n, f in monitors.items()}
    expected = 100.0 * (1.0 - lost["separation"] / lost["fixed_speed"])
    assert gain["less_time_lost_percent"] == pytest.approx(expected, abs=0.5)


def test_what_is_missing_is_one_line(root: Path, tmp_path: Path) -> None:
    from aux_motion.benchmarks import ssm_demo

    command = [sys.executable, "-c", "from aux_motion.cli import main; main()", "ssm", "--demo", "--data", "nowhere"]
    done = subprocess.run([*command, "--out", str(tmp_path)], cwd=root, capture_output=True, text=True, timeout=100)
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 2 and len(lines) == 1, done.stderr
    assert "--data nowhere does not exist: expected the folder" in lines[0]
    with pytest.raises(ValueError, match="nowhere"):
        ssm_demo.run(tmp_path, model=Path("nowhere"), progress=False)
    assert not list(tmp_path.iterdir())
