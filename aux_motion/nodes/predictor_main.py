# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The executable `aux_motion_predictor`."""

from __future__ import annotations

from collections.abc import Callable

from aux_motion.nodes.loading import loaded


def main() -> None:
    """Run the node until SIGINT or SIGTERM.

    The exit status is that of `predictor_node.spin`, and 0 after an interrupt before that: under `ros2 launch` that is
    no failure.
    """

    def load() -> Callable[[], object]:
        from aux_motion.nodes import predictor_node

        return predictor_node.spin

    loaded(load, 0)


if __name__ == "__main__":
    main()
