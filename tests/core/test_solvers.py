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


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (2, 2), (3, 2), (4, 3), (4, 4), (5, 5), (0, 2), (2, 0)])
def test_assignments_are_those_of_scipy(shape) -> None:
    from scipy.optimize import linear_sum_assignment

    rng = np.random.default_rng(1)
    for _ in range(50):
        cost = np.where(rng.random(shape) < 0.3, 1e3, rng.random(shape))
        rows, columns = solvers.assignment(cost)
        expected = linear_sum_assignment(cost)
        assert rows.tolist() == expected[0].tolist()  # of those that cost the same it may be another
        assert cost[rows, columns].sum() == pytest.approx(cost[expected].sum())
        assert len(set(columns.tolist())) == len(columns) == min(shape)


def test_few_are_assigned_without_it() -> None:
    code = (
        "import sys, numpy as np; from aux_motion_core.solvers import assignment; "
        "assignment(np.eye(4)); print('scipy' in sys.modules); assignment(np.eye(5)); print('scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_the_node_starts_without_it() -> None:
    pytest.importorskip("rclpy")
    code = "import sys; from aux_motion.nodes import predictor_node; print('scipy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "False", done.stderr
