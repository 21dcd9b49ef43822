# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Who draws the report's pictures: this process, or one beside it, which runs this module.

matplotlib takes as long to load as a short recording takes to judge. A process that is started first has loaded it by
then, and draws while the rest of the report is written.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from aux_motion.commands.processes import command

#: Room for what is sent while a picture is drawn: a page's pictures take 0.2 MB.
_PIPE_BYTES = 1 << 18
#: Below the priority of the process that judges, which needs the cores more.
_NICE = 10
#: Most pictures that are drawn at the same time.
_AT_ONCE = 4
#: What is not drawn by then is drawn here, seconds after all was sent.
_PATIENCE_S = 60.0


class Drawing:
    """Draws the pictures of one page, in this process or beside it; closed, it ends the other one."""

    def __init__(self) -> None:
        self._beside: subprocess.Popen[bytes] | None = None
        self._sent = 0
        self._drawn: list[str] | None = None

    def start(self) -> None:
        """Start the process beside; where the system gives none, pictures are drawn here."""
        try:
            self._beside = subprocess.Popen(
                command("aux_motion.commands.report_drawing"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pipesize=_PIPE_BYTES,
                stderr=subprocess.DEVNULL,  # what it cannot draw is drawn here, and told of
            )
        except OSError:
            self._beside = None

    def __enter__(self) -> Drawing:
        return self

    def __exit__(self, *what: object) -> None:
        beside, self._beside = self._beside, None
        if beside is not None:
            beside.kill()
            beside.communicate()

    def begin(self, name: str, *arguments: Any) -> Callable[[], str]:
        """Have a picture drawn. All pictures are begun before the first is asked for.

        Args:
            name: of a function of `report_plots`.
            arguments: its own.

        Returns:
            Gives the picture, as SVG; raises ImportError where matplotlib is missing.
        """
        number = self._send(name, arguments)

        def svg() -> str:
            drawn = self._answer() if number is not None else []
            return drawn[number] if number is not None and number < len(drawn) else draw(name, arguments)

        return svg

    def _send(self, name: str, arguments: tuple[Any, ...]) -> int | None:
        """Send a picture to the process beside; its number there, None where there is no such process."""
        if self._beside is None or self._beside.stdin is None or self._beside.stdin.closed:
            return None
        try:
            pickle.dump((name, arguments), self._beside.stdin)
            self._beside.stdin.flush()
        except OSError:  # it ended
            return None
        self._sent += 1
        return self._sent - 1

    def _answer(self) -> list[str]:
        """All pictures of the process beside; none where it could not draw one."""
        if self._drawn is None:
            self._drawn = []
            if self._beside is not None:
                answer = b""
                try:
                    answer, _ = self._beside.communicate(timeout=_PATIENCE_S)
                except subprocess.TimeoutExpired:
                    self._beside.kill()
                    self._beside.communicate()
                if self._beside.returncode == 0:
                    self._drawn = pickle.loads(answer)
        return self._drawn


def draw(name: str, arguments: tuple[Any, ...]) -> str:
    """A picture of `report_plots`, as SVG; ImportError where matplotlib is missing."""
    from aux_motion.commands import report_plots

    svg: str = getattr(report_plots, name)(*arguments)
    return svg


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Draw what comes until its end, then answer, so that neither waits for the other to read."""
    gc.disable()  # there is little, and the process is short
    from aux_motion.commands import report_plots

    report_plots.load()  # while the recording is judged
    at_once = min(len(os.sched_getaffinity(0)), _AT_ONCE)
    with multiprocessing.get_context("fork").Pool(at_once) as pool:  # forked, they have all that was loaded
        begun = []
        while True:
            try:
                begun.append(pool.apply_async(draw, pickle.load(asked)))
            except EOFError:
                break
        pickle.dump([picture.get() for picture in begun], answers)


if __name__ == "__main__":
    os.nice(_NICE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other one hears it too, and ends this one
    serve(sys.stdin.buffer, sys.stdout.buffer)
    sys.stdout.flush()
    os._exit(0)  # to take matplotlib apart would take longer than to draw a picture
