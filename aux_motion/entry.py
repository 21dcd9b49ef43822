# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The executables `aux-motion` and `aux_motion_ssm`. An interrupt while they are loaded ends them silently.

Loading takes up to a second. A KeyboardInterrupt inside an import would show a traceback, or come out as another error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress


def _loaded(load: Callable[[], Callable[[], object]], interrupted: int) -> None:
    """Load with interrupts that end the process at once with a status, then run with those of before."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(interrupted))
    run = load()
    signal.signal(signal.SIGINT, before)
    try:
        code = run()
    except KeyboardInterrupt:
        code = interrupted
    sys.exit(code)


def main() -> None:
    """Entry point of `aux-motion`."""

    def load() -> Callable[[], object]:
        from aux_motion import cli

        if sys.argv[1:2] in (["run"], ["ssm"]):  # what these load takes longest
            with suppress(ImportError):  # the command says what is missing
                from aux_motion.nodes import predictor_node, ssm_node  # noqa: F401
        return cli.main

    _loaded(load, 130)


def monitor() -> None:
    """Entry point of `aux_motion_ssm` (ROS arguments)."""

    def load() -> Callable[[], object]:
        from aux_motion.nodes import ssm_node

        return ssm_node.spin

    _loaded(load, 0)  # a node under `ros2 launch`: no failure


if __name__ == "__main__":
    main()
