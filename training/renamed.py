# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Commands that have moved: `python -m training.<old name>` names the new module and runs it.

`training/__init__.py` installs the finder; a move is one line of `RENAMED`.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType

#: Published name -> where it is now, both below `training`.
RENAMED = {
    "bench_loop": "studies.bench_loop",
    "benchmark": "studies.benchmark",
    "benchmark_compare": "studies.benchmark_compare",
    "benchmark_train": "studies.benchmark_train",
    "calibrate_separation": "fitting.calibrate_separation",
    "evidence": "fitting.evidence",
    "fit_baselines": "fitting.baselines",
    "mix": "studies.ensemble",
    "out_of_fold": "fitting.out_of_fold",
    "prepare": "data.prepare",
    "shrink": "fitting.still_shrink",
    "sizes": "studies.sizes",
    "stacking": "fitting.blending",
    "study": "studies.auxiliary_tasks",
    "study_report": "studies.auxiliary_tasks_report",
    "style_change": "studies.style_change",
}


class MovedLoader(importlib.abc.InspectLoader):
    """Loads the module at its new name; run by `python -m`, says the new name first."""

    def __init__(self, new: str) -> None:
        self.new = new

    def get_source(self, fullname: str) -> str:
        """What `python -m` runs."""
        return (
            "import runpy, sys\n"
            f"print('{fullname} is now {self.new}', file=sys.stderr)\n"
            f"runpy.run_module('{self.new}', run_name='__main__', alter_sys=True)\n"
        )

    def get_code(self, fullname: str) -> CodeType:
        """`get_source`, compiled."""
        return compile(self.get_source(fullname), fullname, "exec")

    def exec_module(self, module: ModuleType) -> None:
        """An import gets the module itself."""
        sys.modules[module.__name__] = importlib.import_module(self.new)


class MovedFinder(importlib.abc.MetaPathFinder):
    """Finds the old names of `RENAMED`."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        """The spec of an old name, None for all others."""
        package, _, name = fullname.partition(".")
        if package != "training" or name not in RENAMED:
            return None
        new = f"training.{RENAMED[name]}"
        return ModuleSpec(fullname, MovedLoader(new), origin=new)


def install() -> None:
    """Put the finder behind Python's own, once."""
    if not any(isinstance(f, MovedFinder) for f in sys.meta_path):
        sys.meta_path.append(MovedFinder())
