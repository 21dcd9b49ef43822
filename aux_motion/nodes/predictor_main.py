# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The executable `aux_motion_predictor`. An interrupt while it is loaded (about a second) ends it silently."""

from __future__ import annotations

import os
import signal
import sys


def main() -> None:
    """Run the node until SIGINT or SIGTERM.

    The exit status is that of `predictor_node.spin`, and 0 after an interrupt before that: under `ros2 launch` that is
    no failure.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # a KeyboardInterrupt inside an import may come out as any other error
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(0))
    from aux_motion.nodes import predictor_node

    signal.signal(signal.SIGINT, before)
    try:
        code = predictor_node.spin()
    except KeyboardInterrupt:
        code = 0
    sys.exit(code)


if __name__ == "__main__":
    main()
