# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion ssm --demo` from a checkout with its samples."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from aux_motion_core.testing import synthetic

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


def walk() -> np.ndarray:
    """(91, 20, 3) metres at 30 Hz."""
    return synthetic.walker(np.arange(91) / 30.0)


def clip(folder: Path, **changes: object) -> Path:
    """A recording as `training.studies.held_out` writes it: somebody who walks for three seconds."""
    poses = walk()[:, None]
    values = {
        "tier": "handover",
        "name": "cell/walks",
        "stamps_s": np.arange(91) / 30.0,
        "positions": poses,
        "mask": np.ones(poses.shape[:3], bool),
        "noise": True,
        **changes,
    }
    folder.mkdir(exist_ok=True)
    np.savez(folder / "walks.npz", **values)
    return folder


def test_recordings_are_clips_and_bags(root: Path, tmp_path: Path) -> None:
    from aux_motion.benchmarks import ssm_recordings

    folder = clip(tmp_path / "given")
    shutil.copy(root / "samples" / "sports2d_demo.mcap", folder)
    first, *others = ssm_recordings.given_motions(folder)
    assert (first.name, first.tier, first.noise) == ("cell/walks", "handover", True)
    np.testing.assert_array_equal(first.positions[:, 0], walk())
    sample = ssm_recordings.sample_motions(root / "samples")
    assert [m.name for m in others] == [m.name for m in sample] and {m.tier for m in others} == {"own"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tier": "other"}, "tier 'other': expected one of sample"),
        ({"positions": np.zeros((91, 20, 3))}, r"positions \(91, 20, 3\) .*expected \(frames, people, 20, 3\)"),
        ({"stamps_s": np.zeros(91)}, "stamps_s: expected 91 rising numbers"),
        ({"name": np.array([object()])}, "is no recording"),
    ],
)
def test_a_clip_that_is_none_is_one_line(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    from aux_motion.benchmarks import ssm_recordings

    with pytest.raises(ValueError, match=said) as error:
        ssm_recordings.given_motions(clip(tmp_path / "given", **changes))
    assert "\n" not in str(error.value) and "walks.npz" in str(error.value)


def test_a_folder_without_recordings_says_what_makes_them(tmp_path: Path) -> None:
    from aux_motion.benchmarks import ssm_recordings

    with pytest.raises(ValueError, match="holds no recordings: .*python -m training.studies.held_out"):
        ssm_recordings.given_motions(tmp_path)
