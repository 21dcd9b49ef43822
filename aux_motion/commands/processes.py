# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Child processes and a private ROS domain, for the demo and the benchmarks.

A recorded human must never reach a live robot: the domain is random, and discovery stays on this machine.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STARTUP_TIMEOUT_S = 40.0


def _spoken_on(domain: int) -> bool:
    """Whether a DDS participant on this machine uses the domain, by its UDP ports (DDSI-RTPS 2.5, clause 9.6.2)."""
    for participant in range(8):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("", 7410 + 250 * domain + 2 * participant))
            except OSError:
                return True
    return False


def free_domain() -> int:
    """A random ROS domain from 1 to 101 that nobody on this machine uses."""
    domains = random.SystemRandom().sample(range(1, 102), 101)
    return next((domain for domain in domains if not _spoken_on(domain)), domains[0])


def private_domain() -> int:
    """Move this process and its children to a private ROS domain on this machine; before rclpy starts.

    AUX_MOTION_DOMAIN_ID in the environment names the domain, otherwise it is a random one that is free.

    Returns:
        The domain.

    Raises:
        ValueError: AUX_MOTION_DOMAIN_ID is no number from 1 to 101.
    """
    given = os.environ.get("AUX_MOTION_DOMAIN_ID")
    if given is not None and not (given.isdigit() and 1 <= int(given) <= 101):
        raise ValueError(f"AUX_MOTION_DOMAIN_ID is {given!r}: expected a whole number from 1 to 101")
    domain = int(given) if given else free_domain()
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.pop("ROS_STATIC_PEERS", None)
    os.environ.pop("ROS_DISCOVERY_SERVER", None)
    if os.environ.get("ROS_DISTRO") == "humble":  # later ones warn about it
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    return domain


def command(module: str, *arguments: str) -> list[str]:
    """Command that runs a module as `python -m` does, and imports from where this process does.

    -m would import from the current folder first: whatever lies there, as a textwrap.py, would be executed.
    """
    code = f"import sys; sys.path[:] = {sys.path!r}; import runpy; "
    return [sys.executable, "-c", code + f"runpy.run_module({module!r}, None, '__main__', True)", *arguments]


class LiveError(ValueError):
    """A process has ended or does not answer; one line."""


class Process:
    """A child that runs a module, its output in a log file; use as a context manager.

    Attributes:
        started_ns: system clock when it was started.
        log: path of the log file.
    """

    def __init__(self, module: str, arguments: list[str], log: Path) -> None:
        self.log = log
        self._file = log.open("w", encoding="utf-8")
        self.started_ns = time.time_ns()
        self.popen = subprocess.Popen(
            command(module, *arguments),
            stdout=self._file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C reaches it through stop() only
        )

    def __enter__(self) -> Process:
        return self

    def check(self) -> None:
        """Raise `LiveError` when it has ended with an error, with the last line of its log."""
        code = self.popen.poll()
        if code:
            raise LiveError(f"{self.log.stem} ended with status {code}: {self.last_line()} (log: {self.log})")

    def last_line(self) -> str:
        """The last line of its log."""
        self._file.flush()
        lines = [x for x in self.log.read_text(encoding="utf-8", errors="replace").splitlines() if x.strip()]
        return lines[-1].strip() if lines else "its log is empty"

    def resident_mib(self) -> float:
        """Resident memory, MiB; NaN where /proc does not tell."""
        try:
            status = Path(f"/proc/{self.popen.pid}/status").read_text(encoding="ascii", errors="replace")
        except OSError:
            return float("nan")
        for line in status.splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024.0
        return float("nan")

    def stop(self) -> None:
        """Interrupt it; terminate or kill it when it does not end."""
        for number, patience_s in ((signal.SIGINT, 5.0), (signal.SIGTERM, 3.0), (signal.SIGKILL, 3.0)):
            if self.popen.poll() is not None:
                break
            self.popen.send_signal(number)
            try:
                self.popen.wait(patience_s)
            except subprocess.TimeoutExpired:
                continue
        self._file.close()

    def __exit__(self, *exc: Any) -> None:
        self.stop()


def predictor_process(fixed_frame: str, log: Path, model: Path | None, backend: str, threads: int = 1) -> Process:
    """Start the node in a process of its own, with autostart."""
    arguments = ["run", "--fixed-frame", fixed_frame, "--backend", backend, "--threads", str(threads)]
    arguments += ["--input-topic", "skeletons"]
    if model is not None:
        arguments += ["--model", str(model)]
    return Process("aux_motion.cli", arguments, log)


def wait(condition: Callable[[], bool], processes: list[Process], timeout_s: float, what: str) -> None:
    """Wait until a condition holds; raise when a process fails first or the time is up.

    Args:
        condition: cheap.
        processes: watched meanwhile.
        timeout_s: seconds.
        what: is missing, for the message.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        for process in processes:
            process.check()
        if time.monotonic() > end:
            said = "; ".join(f"{p.log.name}: {p.last_line()}" for p in processes)
            raise LiveError(f"no {what} within {timeout_s:.0f} s ({said})")
        time.sleep(0.005)
