# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What is looked at while a model trains: errors on the validation clips, and the log for tensorboard."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import numpy as np

from training.config import TrainConfig
from training.data.corrupt import random_joint_frames
from training.data.tracker_noise import draw as draw_tracker_noise
from training.data.windows import cut, mean_error, predict


class Validator:
    """Mean over clips of the error at 0.4 s and 1.0 s on the validation clips: clean, 40 % missing, noised.

    And with the noise that trackers make.
    """

    def __init__(self, clips: list, config: TrainConfig) -> None:
        c = config.model
        self.steps = [round(0.4 / c.dt_s) - 1, round(1.0 / c.dt_s) - 1]
        cuts = [(clip.action, cut(clip, c.history_steps, c.future_steps, c.dt_s, 0.32)) for clip in clips]
        self.windows = [(a, w) for a, w in cuts if w is not None]
        rng = np.random.default_rng(1)
        self.missing = [
            w.past_mask & ~random_joint_frames(rng, w.past_mask.shape, np.full(len(w.past), 0.4))
            for _, w in self.windows
        ]
        self.noise = [rng.normal(0.0, 0.02, w.past.shape) for _, w in self.windows]
        self.tracker = [draw_tracker_noise(rng, *w.past.shape[:2]) for _, w in self.windows]

    def __call__(self, infer) -> dict[str, float]:
        rows = {"clean": [], "missing_40pct": [], "noise_20mm": [], "tracker_noise": []}
        for (_, w), seen, noise, tracker in zip(self.windows, self.missing, self.noise, self.tracker):
            rows["clean"].append(mean_error(predict(infer, w.past, w.past_mask), w, self.steps))
            rows["missing_40pct"].append(mean_error(predict(infer, w.past, seen), w, self.steps))
            rows["noise_20mm"].append(mean_error(predict(infer, w.past + noise, w.past_mask), w, self.steps))
            rows["tracker_noise"].append(mean_error(predict(infer, w.past + tracker, w.past_mask), w, self.steps))
        out = {
            f"{k}@{t}": 1000 * float(np.mean([r[i] for r in v]))
            for k, v in rows.items()
            for i, t in enumerate((0.4, 1.0))
        }
        for action in sorted({a for a, _ in self.windows}):
            e = [r for (a, _), r in zip(self.windows, rows["clean"]) if a == action]
            out[f"{action}@1.0"] = 1000 * float(np.mean([r[1] for r in e]))
        return out


class Board:
    """Scalars for tensorboard. Its own writer has a thread, whose traceback would be all that a full disk says."""

    def __init__(self, folder: Path) -> None:
        """A new file of events in `folder`; OSError: it cannot be written."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter
        from torch.utils.tensorboard.summary import scalar

        self.path = folder / f"events.out.tfevents.{time.time_ns() // 10**9}.{socket.gethostname()}.{os.getpid()}"
        self._event, self._scalar = Event, scalar
        try:
            self._file = open(self.path, "ab", buffering=0)  # noqa: SIM115
        except OSError as e:
            raise self._full(e) from None
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")

    def _full(self, e: OSError) -> OSError:
        return OSError(
            f"{self.path}: cannot be written: {e.strerror}; the checkpoint saved before is whole. Make room there and "
            "start again: the run goes on from it"
        )

    def _write(self, **content: object) -> None:
        try:
            self._records.write(self._event(wall_time=time.time(), **content).SerializeToString())
        except OSError as e:
            raise self._full(e) from None

    def add_scalar(self, name: str, value: float, step: int) -> None:
        """One number of one step; OSError: it cannot be written."""
        self._write(step=step, summary=self._scalar(name, value))

    def close(self) -> None:
        """No more numbers."""
        self._file.close()
