# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A trace of the node's stages, for chrome://tracing and https://ui.perfetto.dev.

Chrome's trace event format, JSON array form: the closing bracket may be missing, so a file of a node that was killed
can be read too.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

#: A file ends here, about 200 MB; a second of 30 Hz is about 400 events.
MOST_EVENTS = 2_000_000
_FLUSH_AT = 20_000


class Trace:
    """Collects on the hot path (one append an event); `flush` writes.

    Args:
        file: written anew; its folder must exist.

    Attributes:
        trouble: why the file ends early, in one line; empty: it does not.

    Raises:
        ValueError: it cannot be written.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        try:
            self._out: TextIO | None = self.file.open("w", encoding="utf-8")
        except OSError as error:
            raise self._refusal(os.strerror(error.errno or 0).lower()) from None
        self._events: list[tuple[str, float, float, int, dict[str, Any] | None]] = []
        self._lock = threading.Lock()
        self._names: set[int] = set()
        self.events = self.dropped = 0
        self.trouble = ""
        # perf_counter is what stages are measured with; the file counts from the system clock's epoch
        self._epoch_us = time.time_ns() / 1e3 - time.perf_counter() * 1e6
        self._write("[\n")
        self._write(self._meta("process_name", "aux_motion_predictor", 0) + "\n")
        if self.trouble:
            raise self._refusal(self.trouble)

    def _refusal(self, why: str) -> ValueError:
        line = f"trace_file {str(self.file)!r} cannot be written ({why}): "
        return ValueError(line + "name a file in a folder that is there and writable")

    def add(self, name: str, start_s: float, end_s: float, **args: Any) -> None:
        """An event; times on `time.perf_counter`."""
        if len(self._events) + self.events < MOST_EVENTS:
            self._events.append((name, start_s, end_s, threading.get_native_id(), args or None))
        else:
            self.dropped += 1

    def add_prediction(
        self, stage_s: Mapping[str, float], start: float, inferred: float, written: float, done: float, people: int
    ) -> None:
        """The events of a prediction.

        Args:
            stage_s: seconds of each stage of the inference, in the order in which they ran.
            start, inferred, written, done: when it began, was inferred, was written and was published
                (`time.perf_counter`).
            people: how many people were predicted.
        """
        self.add("predict", start, inferred, people=people)
        at = inferred - sum(stage_s.values())
        for name, seconds in stage_s.items():
            self.add(name, at, at + seconds)
            at += seconds
        self.add("message", inferred, written)
        self.add("publish", written, done)

    def full(self) -> bool:
        """Whether `flush` should be called soon."""
        return len(self._events) >= _FLUSH_AT

    def at(self, system_ns: int) -> float:
        """The time on `time.perf_counter` of a time on the system clock, nanoseconds."""
        return (system_ns / 1e3 - self._epoch_us) * 1e-6

    def flush(self) -> None:
        """Write what was collected."""
        with self._lock:
            events, self._events = self._events, []
            if self._out is None:
                return
            lines = []
            for name, start_s, end_s, thread, args in events:
                if thread not in self._names:
                    self._names.add(thread)
                    label = next((t.name for t in threading.enumerate() if t.native_id == thread), str(thread))
                    lines.append(self._meta("thread_name", label, thread))
                event = {
                    "name": name,
                    "ph": "X",
                    "ts": round(start_s * 1e6 + self._epoch_us, 1),
                    "dur": round((end_s - start_s) * 1e6, 1),
                    "pid": os.getpid(),
                    "tid": thread,
                }
                lines.append("," + json.dumps({**event, "args": args} if args else event))
            self.events += len(events)
            if lines:
                self._write("\n".join(lines) + "\n")

    def _meta(self, kind: str, name: str, thread: int) -> str:
        event = {"name": kind, "ph": "M", "pid": os.getpid(), "tid": thread, "args": {"name": name}}
        return ("" if kind == "process_name" else ",") + json.dumps(event)

    def _write(self, text: str) -> None:
        if self._out is None:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except OSError as error:  # the disk is full: predictions go on, the trace ends
            self.trouble = os.strerror(error.errno or 0).lower()
            self._end()

    def _end(self) -> None:
        out, self._out = self._out, None
        if out is not None:
            with suppress(OSError):  # what could not be written is tried once more
                out.close()

    def close(self) -> None:
        """Write the rest and the closing bracket."""
        self.flush()
        with self._lock:
            self._write("]\n")
            self._end()
