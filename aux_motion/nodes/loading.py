# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What an executable does while its modules are loaded."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """While modules are loaded: they live as long as the process, and the garbage collector looks at them no more.

    It would do so again and again, for nothing.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def loaded(load: Callable[[], Callable[[], object]], interrupted: int) -> None:
    """Load what an executable needs, run it, and exit with its status.

    A KeyboardInterrupt inside an import would show a traceback, or come out as another error: meanwhile an interrupt
    ends the process at once. Nor does pydantic search all installed packages for plugins, nor OpenBLAS start threads:
    they would spin for a tenth of a second, and are not used (`solvers.one_blas_thread`).

    Args:
        load: imports, and returns what is to run.
        interrupted: exit status after an interrupt.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(interrupted))
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with loading():
        run = load()
    signal.signal(signal.SIGINT, before)
    try:
        code = run()
    except KeyboardInterrupt:
        code = interrupted
    sys.exit(code)
