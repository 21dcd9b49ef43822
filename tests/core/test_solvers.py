# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""scipy is loaded when it is needed, and answers as it does."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from aux_motion_core import solvers


def test_answers_are_those_of_scipy() -> None:
    rng = np.random.default_rng(0)
    rows, columns = solvers.assignment(np.array([[4.0, 1.0], [2.0, 0.5]]))
    assert rows.tolist() == [0, 1] and columns.tolist() == [1, 0]
    a = rng.normal(size=(6, 6))
    a, b = a @ a.T + np.eye(6), rng.normal(size=(6, 2))
    np.testing.assert_allclose(solvers.solve_positive(a.copy(), b), np.linalg.solve(a, b), rtol=1e-9)


def test_the_node_starts_without_it() -> None:
    pytest.importorskip("rclpy")
    code = "import sys; from aux_motion.nodes import predictor_node; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
