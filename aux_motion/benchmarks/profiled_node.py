# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The predictor node under cProfile: `python -m aux_motion.benchmarks.profiled_node STATS --fixed-frame map ...`.

SIGUSR1 begins to profile the thread that predicts; the next one ends it and writes the file. So the start is not in it.
Processor time is measured: neither waiting for messages nor other programs count.
"""

from __future__ import annotations

import cProfile
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from aux_motion.commands import run


def main() -> None:
    """Run `aux-motion run` with the rest of the arguments."""
    file = Path(sys.argv[1])
    profiler = cProfile.Profile(time.thread_time)
    under_way = False

    def switch(number: int, frame: Any) -> None:
        nonlocal under_way
        under_way = not under_way
        if under_way:
            profiler.enable()
            return
        profiler.disable()
        part = file.with_suffix(".part")
        profiler.dump_stats(part)
        os.replace(part, file)  # whoever waits for it finds it whole

    signal.signal(signal.SIGUSR1, switch)
    sys.exit(run.main(sys.argv[2:]))


if __name__ == "__main__":
    main()
