# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The node on a computer with a stand-in GPU: `python stand_in_node.py STATE ENGINE ARGUMENTS`.

STATE is a file of words that change what the GPU does now: lost, hangs, full. ENGINE is a folder, in which engines for
this GPU (`here`, at most two people) and for another one (`other`) are written.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from aux_motion.nodes import predictor_node  # noqa: E402
from aux_motion_core.inference import tensorrt  # noqa: E402
from support.gpu_stand_in import Machine  # noqa: E402

state, folder = Path(sys.argv.pop(1)), Path(sys.argv.pop(1))


class Switched(Machine):
    """A machine that looks into the file before everything it does."""

    def _says(self, word: str) -> bool:
        return word in state.read_text().split()

    lost = property(lambda self: self._says("lost"), lambda self, value: None)
    hangs = property(lambda self: self._says("hangs"), lambda self, value: None)
    free_bytes = property(lambda self: 1000 if self._says("full") else 2**30, lambda self, value: None)


machine = Switched(ROOT / "models" / "body20_25hz")
machine.max_people = 2
machine.engine(folder / "here")
machine.engine(folder / "other", target="sm86")
tensorrt.make = functools.partial(tensorrt.make, open_gpu=machine.open_gpu, load_flavour=machine.load_flavour)
predictor_node.main()
