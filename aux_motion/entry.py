# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The executables `aux-motion` and `aux_motion_ssm`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

from aux_motion.nodes.loading import loaded


def main() -> None:
    """Entry point of `aux-motion`."""

    def load() -> Callable[[], object]:
        from aux_motion import cli

        if sys.argv[1:2] in (["run"], ["ssm"]):  # what these load takes longest
            with suppress(ImportError):  # the command says what is missing
                from aux_motion.nodes import predictor_node, ssm_node  # noqa: F401
        return cli.main

    loaded(load, 130)


def monitor() -> None:
    """Entry point of `aux_motion_ssm` (ROS arguments)."""

    def load() -> Callable[[], object]:
        from aux_motion.nodes import ssm_node

        return ssm_node.spin

    loaded(load, 0)  # a node under `ros2 launch`: no failure


if __name__ == "__main__":
    main()
