# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Of scipy only one file is loaded, and it answers as scipy does."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from aux_motion_core import solvers


def test_answers_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    rows, columns = solvers.assignment(np.array([[4.0, 1.0], [2.0, 0.5]]))
    assert rows.tolist() == [0, 1] and columns.tolist() == [1, 0]
    for shape in ((1, 1), (3, 5), (6, 2), (8, 8)):
        cost = rng.normal(size=shape)
        np.testing.assert_array_equal(solvers.assignment(cost), linear_sum_assignment(cost))


def test_one_file_of_scipy_is_enough() -> None:
    code = (
        "import sys, numpy as np; from aux_motion_core import solvers; solvers.load()\n"
        "print('scipy.optimize' in sys.modules, solvers.assignment(np.eye(2))[1].tolist())\n"
        "import scipy.optimize; print(scipy.optimize.linear_sum_assignment(np.eye(2))[1].tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split("\n")[:2] == ["False [1, 0]", "[1, 0]"], done.stderr


def test_a_scipy_with_other_files_does_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solvers, "EXTENSION_SUFFIXES", [".nowhere"])
    solvers._linear_sum_assignment.cache_clear()
    try:
        assert solvers.assignment(np.eye(2))[1].tolist() == [1, 0]
    finally:
        solvers._linear_sum_assignment.cache_clear()


def test_the_node_starts_without_it() -> None:
    pytest.importorskip("rclpy")
    code = "import sys; from aux_motion.nodes import predictor_node; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
