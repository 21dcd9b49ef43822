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
    ends the process at once. What takes long and is not used is left out (docs/decisions.md): pydantic searches no
    installed packages for plugins, OpenBLAS starts no threads, and rosidl does not load what generates messages.

    Args:
        load: imports, and returns what is to run.
        interrupted: exit status after an interrupt.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(interrupted))
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.modules.setdefault("rosidl_generator_py.generate_py_impl", None)  # as if it were missing, which it may be
    with loading():
        run = load()
    signal.signal(signal.SIGINT, before)
    try:
        code = run()
    except KeyboardInterrupt:
        code = interrupted
    sys.exit(code)
