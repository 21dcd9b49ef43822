# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Steady latency: work in the background, garbage collection between frames, settings of the kernel."""

from __future__ import annotations

import ctypes
import errno
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

#: How long a thread keeps Python's lock when another wants it, seconds; Python's own 5 ms would be seen.
SWITCH_INTERVAL_S = 0.0005
#: Longest that work beside the hot path waits for it, seconds: it also gets its turn when messages outrun inference.
_PATIENCE_S = 0.1
#: Objects made since the last collection before one is made, by generation.
_MADE = 2000
_EVERY = (10, 100)
#: mlockall: what is mapped now, and what will be.
_MCL_CURRENT, _MCL_FUTURE = 1, 2

#: Of the process before `apply` changed it.
_AFFINITY: list[set[int]] = []

Job = Callable[[], Any]


class Background:
    """One thread for what must not delay a prediction: markers, diagnostics, writing a trace.

    Of jobs with one name only the newest is done. A job that returns a generator is held at each `yield` while the hot
    path is busy.

    Args:
        failed: called with the name and the exception of a job that raised.
    """

    def __init__(self, failed: Callable[[str, Exception], None]) -> None:
        self._failed = failed
        self._jobs: dict[str, Job] = {}
        self._wake = threading.Condition()
        self._idle = threading.Event()
        self._idle.set()
        self._stopped = self._working = False
        self.thread = threading.Thread(target=self._run, name="background", daemon=True)
        self.thread.start()

    def busy(self) -> None:
        """The hot path has work: what runs here holds on."""
        self._idle.clear()

    def idle(self) -> None:
        """The hot path waits for input."""
        self._idle.set()

    def submit(self, name: str, job: Job) -> None:
        """Do it soon; a job of that name that has not begun is dropped."""
        with self._wake:
            self._jobs[name] = job
            self._wake.notify()

    def waits(self, name: str) -> bool:
        """Whether a job of that name has not begun yet."""
        return name in self._jobs

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._jobs and not self._stopped:
                    self._wake.wait()
                if self._stopped:
                    return
                name = next(iter(self._jobs))
                job = self._jobs.pop(name)
                self._working = True
            try:
                self._idle.wait(_PATIENCE_S)
                parts = job()
                for _ in parts if isinstance(parts, Iterator) else ():
                    self._idle.wait(_PATIENCE_S)
            except Exception as error:  # what is beside the predictions must not end them
                with suppress(Exception):
                    self._failed(name, error)
            finally:
                del job
                self._working = False

    def drop(self) -> None:
        """Forget what has not begun, and wait for what has (at most a second)."""
        with self._wake:
            self._jobs.clear()
        self.idle()
        end = time.monotonic() + 1.0
        while self._working and time.monotonic() < end and threading.current_thread() is not self.thread:
            time.sleep(0.001)

    def close(self) -> None:
        """End the thread."""
        self.drop()
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self.thread.join(timeout=2.0)


class Collector:
    """Python's garbage collector, run when the caller says and not in the middle of a frame."""

    def __init__(self) -> None:
        self._runs = 0
        self._on = False
        self._interval_s = sys.getswitchinterval()

    def start(self) -> None:
        """Collect, leave out of later collections what lives now, and switch the automatic collections off."""
        if self._on:
            return
        self._on = True
        self._interval_s = sys.getswitchinterval()
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        gc.collect()
        gc.freeze()
        gc.disable()

    def between_frames(self) -> bool:
        """Collect where enough was made since the last time; whether it was."""
        if gc.get_count()[0] < _MADE:
            return False
        self._runs += 1
        # nearly everything dies young: the oldest generation is looked at seldom
        gc.collect(2 if self._runs % _EVERY[1] == 0 else 1 if self._runs % _EVERY[0] == 0 else 0)
        return True

    def stop(self) -> None:
        """As before `start`."""
        if not self._on:
            return
        self._on = False
        sys.setswitchinterval(self._interval_s)
        gc.enable()
        gc.unfreeze()


def cpus(text: str) -> set[int]:
    """CPUs of a list such as "2,3" or "0-1".

    Raises:
        ValueError: it is none.
    """
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last) < 4096):
            raise ValueError(f"cpu_affinity {text!r}: expected numbers of CPUs, such as 2,3 or 0-1")
        found.update(range(int(first), int(last) + 1))
    return found


def _threads(without: set[int]) -> list[int]:
    return [int(p.name) for p in Path("/proc/self/task").iterdir() if int(p.name) not in without]


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _of_each(threads: list[int], do: Callable[[int], Any]) -> list[Any]:
    found = []
    for thread in threads:
        with suppress(ProcessLookupError):  # it ended meanwhile
            found.append(do(thread))
    return found


def _pin(affinity: str, threads: list[int]) -> str:
    wanted = cpus(affinity)
    there = os.sched_getaffinity(0)
    _AFFINITY.append(there)
    try:
        _of_each(threads, lambda thread: os.sched_setaffinity(thread, wanted))
    except OSError as error:
        return f"refused: {_reason(error)} (asked for {affinity}, the machine has {os.cpu_count()} CPUs)"
    got = set.intersection(wanted, *_of_each(threads, os.sched_getaffinity))
    text = ",".join(map(str, sorted(got)))
    return f"got {text}" if got == wanted else f"got {text} of {affinity}: the others are not there"


def _prefer(priority: int, threads: list[int]) -> str:
    try:
        _of_each(threads, lambda thread: os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(priority)))
    except OSError as error:
        return (
            f"refused: {_reason(error)}: allow it (rtprio {priority} in /etc/security/limits.conf, docker "
            f"--ulimit rtprio={priority} --cap-add sys_nice)"
        )
    return f"got SCHED_FIFO {priority}"


def _lock() -> str:
    allow = "allow it (memlock unlimited in /etc/security/limits.conf, docker --ulimit memlock=-1 --cap-add ipc_lock)"
    import resource  # not everywhere

    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    capable = _capable(14)  # CAP_IPC_LOCK
    if limit != resource.RLIM_INFINITY and not capable:
        # it might be granted now and let a later allocation fail
        return f"refused: at most {limit // 1024} KiB may be locked: {allow}"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mlockall(_MCL_CURRENT | _MCL_FUTURE):
        code = ctypes.get_errno()
        return f"refused: {os.strerror(code).lower()}{': ' + allow if code in (errno.EPERM, errno.ENOMEM) else ''}"
    return "got"


def _capable(bit: int) -> bool:
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> bit & 1)
    except OSError:
        pass
    return False


def apply(affinity: str, priority: int, lock_memory: bool, leave: threading.Thread | None = None) -> dict[str, str]:
    """Ask the kernel for what is set, for all threads of this process; nothing fails that is refused.

    Args:
        affinity: CPUs, see `cpus`; empty: as they are.
        priority: SCHED_FIFO priority; 0: none.
        lock_memory: keep all memory from being paged out.
        leave: a thread that keeps its own scheduling.

    Returns:
        For the diagnostics, of each that was asked for, what was got or why it was refused.
    """
    said: dict[str, str] = {}
    if not sys.platform.startswith("linux"):
        asked = {"cpu_affinity": affinity, "realtime_priority": priority, "lock_memory": lock_memory}
        return {name: "refused: only on Linux" for name, value in asked.items() if value}
    kept = {leave.native_id} if leave is not None and leave.native_id else set()
    if affinity:
        said["cpu_affinity"] = _pin(affinity, _threads(set()))
    if priority:
        said["realtime_priority"] = _prefer(priority, _threads(kept))
    if lock_memory:
        said["lock_memory"] = _lock()
    return said


def release() -> None:
    """Give back what `apply` got."""
    if not sys.platform.startswith("linux"):
        return
    before = _AFFINITY[0] if _AFFINITY else None
    _AFFINITY.clear()
    for thread in _threads(set()):
        try:
            if before is not None:
                os.sched_setaffinity(thread, before)
            if os.sched_getscheduler(thread) == os.SCHED_FIFO:
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))
        except OSError:  # it ended meanwhile
            continue
    ctypes.CDLL(None).munlockall()


def resident_bytes(pid: int | str = "self") -> int:
    """Resident memory of a process; 0 where /proc does not tell."""
    try:
        pages: Any = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
