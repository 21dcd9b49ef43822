# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""scipy's solvers, loaded where they are first needed: that takes longer than all else at the start of a program."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import threadpoolctl

#: So many rows and columns have few enough assignments to try them all.
_FEW = 4


def assignment(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the assignment with the least sum of costs (`scipy.optimize.linear_sum_assignment`)."""
    if max(cost.shape) <= _FEW and np.isfinite(cost).all():  # not worth half a second of loading
        return _tried(cost)
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return rows, columns


def _tried(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """As `assignment`, by trying all there are."""
    if cost.shape[0] > cost.shape[1]:
        columns, rows = _tried(cost.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    rows = np.arange(len(cost))
    every = np.array(list(itertools.permutations(range(cost.shape[1]), len(rows))), np.intp)
    return rows, every[np.argmin(cost[rows, every].sum(1))]


def solve_positive(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The solution of a positive definite system (n, n), (n, k), by Cholesky; `matrix` is overwritten."""
    linalg = _linalg()
    factor = linalg.cho_factor(matrix, lower=True, overwrite_a=True, check_finite=False)
    solution: np.ndarray = linalg.cho_solve(factor, right, check_finite=False)
    return solution


def load() -> None:
    """Load what this package uses of scipy while it runs, so that nothing waits for it later."""
    import scipy.optimize  # noqa: F401

    _linalg()


@functools.cache
def _linalg() -> Any:
    import scipy.linalg

    if one_blas_thread.cache_info().currsize:
        _limit()  # scipy brings a BLAS of its own
    return scipy.linalg


@functools.cache
def one_blas_thread() -> None:
    """Let numpy and scipy multiply in one thread from now on, in the whole process.

    OpenBLAS starts threads for products as small as these, which wake up for each: four times the processor time.
    """
    _limit()


def _limit() -> None:
    threadpoolctl.threadpool_limits(limits=1, user_api="blas")
