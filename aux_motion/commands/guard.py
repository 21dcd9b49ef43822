# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""How a command ends with an error or a signal."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial
from io import TextIOWrapper
from typing import Any

#: A command that SIGTERM ends has so long to do so, seconds: child processes may take ten.
_PATIENCE_S = 15


def guard(call: Callable[[], object], name: str) -> None:
    """Run a command; an error, expected or not, ends the process with one line and exit code 2.

    AUX_MOTION_TRACEBACK=1 in the environment shows the traceback.

    Args:
        call: a command.
        name: begins the line.
    """
    _streams()
    ours = tidy_on_sigterm()
    try:
        call()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        if ours and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # it came, and an import made this of it
            sys.exit(128 + signal.SIGTERM)
        if _interrupted(error):
            sys.exit(130)
        if os.environ.get("AUX_MOTION_TRACEBACK"):
            raise
        lines = str(error).strip().splitlines() or ["no further message"]
        named = isinstance(error, ValueError)  # every error class of this package is one
        print(f"{name}: error: {'' if named else type(error).__name__ + ': '}{lines[0]}", file=sys.stderr)
        sys.exit(2)
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C came, and an import or what cleans up made another error of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _streams() -> None:
    """Give a command streams to write to where they were closed, and let it say names of files that are no text."""
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")


def tidy_on_sigterm(again: signal.Handlers = signal.SIG_DFL) -> bool:
    """Have SIGTERM raise SystemExit, so that what is half written is removed.

    Args:
        again: what a second one does; by default it ends the process at once.

    Returns:
        Whether it does: not beside the main thread, nor where SIGTERM does something else already.
    """
    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, partial(_terminated, again))
    return ours


def _terminated(again: signal.Handlers, number: int, frame: Any) -> None:
    signals = sys.modules.get("rclpy.signals")
    if signals is not None:
        options = signals.SignalHandlerOptions
        if signals.get_current_signal_handlers_options() in (options.ALL, options.SIGTERM):
            return  # rclpy's handler, which calls this one, ends what spins
    signal.signal(signal.SIGTERM, again)
    signal.signal(signal.SIGALRM, lambda *_: os._exit(128 + number))  # modules that are just loaded may catch it
    signal.alarm(_PATIENCE_S)
    sys.exit(128 + number)
