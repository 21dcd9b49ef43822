"""The executable `aux_motion_predictor`. It imports what it needs where an interrupt ends it without a traceback."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the node until SIGINT or SIGTERM; exit status as `aux_motion.node.spin`, 130 when interrupted before that."""
    try:
        from aux_motion import node

        code = node.spin()
    except KeyboardInterrupt:
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
