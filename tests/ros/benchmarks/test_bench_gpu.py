# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`make gpu`: what it writes, and what it says where no GPU is."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from aux_motion.benchmarks import bench_gpu
from aux_motion_core.inference import artefact
from aux_motion_core.inference.cuda import Gpu, GpuError

ROOT = Path(__file__).resolve().parents[3]


def have_gpu() -> bool:
    try:
        Gpu().close()
    except GpuError:
        return False
    return True


def test_file_is_named_after_the_gpu():
    assert bench_gpu.file_name("NVIDIA H100 80GB HBM3") == "gpu_nvidia_h100_80gb_hbm3.json"


def test_latency_is_of_the_calls_and_each_has_so_many_people():
    seen = []

    def infer(values, mask):
        seen.append(len(values))
        time.sleep(0.002)

    windows = np.zeros((5, 10, 20, 3), np.float32), np.ones((5, 10, 20), bool)
    found = bench_gpu.latency(infer, windows, 8, 20)
    assert set(seen) == {8} and len(seen) == 20 + bench_gpu._WARM_UP
    assert 2.0 <= found["p50_ms"] <= found["p99_ms"] <= found["max_ms"]


@pytest.mark.skipif(have_gpu(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so_in_one_line_and_writes_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "aux_motion.benchmarks.bench_gpu", "--out", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0
    assert re.fullmatch(r"no GPU is measured here: .+\n", done.stdout)
    assert not list(tmp_path.iterdir())


def test_no_gpu_is_an_error_of_one_line_before_anything_is_built():
    def none():
        raise GpuError("no GPU answers")

    loaded = artefact.load(ROOT / "models" / "body20_25hz")
    with pytest.raises(GpuError, match="no GPU answers"):
        bench_gpu.measure(loaded, ROOT / "samples" / "sports2d_demo.mcap", 20, none)
