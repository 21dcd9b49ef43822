# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Published names of commands go on working, and say the new one."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from training.renamed import RENAMED

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = {
    "train", "validate", "export", "finetune", "calibrate", "card", "benchmark", "benchmark_train",
    "benchmark_compare", "study", "study_report", "sizes", "stacking", "shrink", "mix", "style_change", "evidence",
    "out_of_fold", "prepare", "calibrate_separation", "fit_baselines", "bench_loop",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_every_published_name_leads_to_a_file(name):
    where = RENAMED.get(name, name)
    assert (ROOT / "training" / f"{where.replace('.', '/')}.py").is_file()
    assert importlib.util.find_spec(f"training.{name}") is not None


def test_an_old_name_says_the_new_one_and_runs_it():
    pytest.importorskip("typer")
    done = subprocess.run(
        [sys.executable, "-m", "training.prepare", "--help"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "memory-mapped shards" in done.stdout
    assert [x for x in done.stderr.splitlines() if x.startswith("training.prepare")] == [
        "training.prepare is now training.data.prepare"
    ]


def test_an_import_by_the_old_name_is_the_module_itself():
    import training.data.prepare as new
    import training.prepare as old

    assert old is new


def test_a_name_that_never_was_is_not_found():
    assert importlib.util.find_spec("training.nothing") is None
