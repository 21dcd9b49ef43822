# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Solvers whose libraries take long to load: only what is used is loaded of them, and when it is first needed."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from importlib import util
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl


def assignment(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the assignment with the least sum of costs (`scipy.optimize.linear_sum_assignment`)."""
    rows, columns = _linear_sum_assignment()(cost)
    return rows, columns


def load() -> None:
    """Load what `assignment` uses of scipy, so that nothing waits for it later."""
    _linear_sum_assignment()


@functools.cache
def _linear_sum_assignment() -> Callable[[np.ndarray], tuple[Any, Any]]:
    """scipy's function from its own file: the package around it takes 300 times as long to load."""
    found = util.find_spec("scipy")
    folder = Path(found.origin).parent / "optimize" if found is not None and found.origin else Path()
    file = folder / f"_lsap{EXTENSION_SUFFIXES[0]}"
    try:
        loader = ExtensionFileLoader("scipy.optimize._lsap", str(file))
        spec = util.spec_from_file_location(loader.name, file, loader=loader)
        assert spec is not None, "a loader is given"
        module = util.module_from_spec(spec)
        loader.exec_module(module)
        solve: Callable[[np.ndarray], tuple[Any, Any]] = module.linear_sum_assignment
        return solve
    except (ImportError, AttributeError):  # a scipy with other files
        from scipy.optimize import linear_sum_assignment

        solve = linear_sum_assignment
        return solve


def _openblas() -> bool:
    """Whether numpy says that it was built with OpenBLAS; early versions do not say."""
    built: dict[str, Any] = getattr(np.__config__, "CONFIG", {})
    return "openblas" in built.get("Build Dependencies", {}).get("blas", {}).get("name", "")


@functools.cache
def one_blas_thread() -> None:
    """Let numpy multiply in one thread from now on, in the whole process.

    OpenBLAS starts threads for products as small as these, which wake up for each: four times the processor time.
    """
    if os.environ.get("OPENBLAS_NUM_THREADS") == "1" and _openblas():
        return  # told before it was loaded: to look for it takes a hundredth of a second
    threadpoolctl.threadpool_limits(limits=1, user_api="blas")
