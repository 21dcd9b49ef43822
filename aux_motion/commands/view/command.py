# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What `aux-motion view` does: open a source, serve the page, end with Ctrl-C."""

from __future__ import annotations

import os
import signal
import sys
import threading
import webbrowser
from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from aux_motion.commands.offline import Job
from aux_motion.commands.view.page import Page, ViewError, serve
from aux_motion.commands.view.recording import Opened, Recording, open_evaluation
from aux_motion.commands.view.robots import placed


def _open(address: str) -> bool:
    """Open a page in the desktop's browser; False where there is no desktop. A browser of the terminal is none."""
    desktop = sys.platform == "darwin" or any(os.environ.get(n) for n in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
    return desktop and webbrowser.open(address)


def opened(path: Path, job: dict[str, Any]) -> Opened:
    """What a path names: a bag, or the folder of an evaluation.

    Raises:
        ValueError: neither.
    """
    if (path / "summary.json").is_file():
        return open_evaluation(path)
    if path.is_dir() and (path / "node.log").is_file():
        raise ViewError(f"{path} is of the demo: name the bag it played, or a folder made by aux-motion evaluate")
    return Opened(Job(bag=path, out=path.parent, **job), path.name)


def view(
    path: Path | None,
    job: dict[str, Any],
    live: bool = False,
    robot: Path | None = None,
    robot_at: str = "",
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = False,
    start_s: float | None = None,
    say: Callable[[str], None] = print,
    stop: threading.Event | None = None,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        path: bag or folder of an evaluation; None: live.
        job: further fields of `Job`.
        live: listen to ROS topics.
        robot: description of the robot.
        robot_at: where it stands, see `robots.placed`.
        host: address to listen on.
        port: 0: any that is free; None: 8088, or where that is taken any that is free.
        browser: open the page in the desktop's browser.
        start_s: moment to begin at; None: the first one with a prediction.
        say: takes lines for the terminal.
        stop: ends the page when it is set.

    Raises:
        ValueError: one line on what is wrong.
    """
    if (path is None) != live:
        raise ViewError("name a bag or the folder of an evaluation, or --live, not both" if live else
                        "expected a bag, the folder of an evaluation, or --live")  # fmt: skip
    described = placed(robot, robot_at) if robot is not None else None
    server = serve(host, port)
    try:
        if live:
            from aux_motion.commands.view.live import Live

            source: Any = Live(described)
        else:
            source = Recording(opened(path, job), described, start_s or 0.0)
        try:
            page = Page(server, source, start_s)
            page.stop = stop or page.stop
            address = f"http://{'localhost' if host in ('127.0.0.1', '0.0.0.0', '') else host}:{server.get_port()}"
            say(f"{source.title}: look at {address} (Ctrl-C ends it)")
            if host not in ("127.0.0.1", "localhost", "::1"):
                say(f"everybody who reaches {host} can see it")
            if browser and not _open(address):
                say(f"no browser could be opened: open {address} yourself")
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGTERM, lambda *_: page.stop.set())
            page.run()
        finally:
            source.close()
    except KeyboardInterrupt:
        say("ended")
    finally:
        with redirect_stdout(StringIO()):
            server.stop()
