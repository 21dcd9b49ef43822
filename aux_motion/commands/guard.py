# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How a command ends with an error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def guard(call: Callable[[], object], name: str) -> None:
    """Run a command; an error, expected or not, ends the process with one line and exit code 2.

    AUX_MOTION_TRACEBACK=1 in the environment shows the traceback.

    Args:
        call: a command.
        name: begins the line.
    """
    try:
        call()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if os.environ.get("AUX_MOTION_TRACEBACK"):
            raise
        lines = str(error).strip().splitlines() or ["no further message"]
        named = isinstance(error, ValueError)  # every error class of this package is one
        print(f"{name}: error: {'' if named else type(error).__name__ + ': '}{lines[0]}", file=sys.stderr)
        sys.exit(2)
