# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Bags as `aux-motion predict` and `evaluate` take them: read and predicted here, or in a process beside the judge."""

from __future__ import annotations

import multiprocessing
import os
import queue
import re
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aux_motion.commands.parameter_file import file_parameters
from aux_motion.nodes.parameters import NodeParameters, default_model_dir, validate
from aux_motion_core.bags.files import BagError
from aux_motion_core.bags.inputs import Recorded, Report
from aux_motion_core.bounds.calibration import Calibration
from aux_motion_core.evaluation.comparisons import Grid
from aux_motion_core.evaluation.replay import Replayed, quiet
from aux_motion_core.evaluation.replay import predict as predict_frames
from aux_motion_core.evaluation.together import MOST_PEOPLE
from aux_motion_core.evaluation.windows import sample_windows
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.inference.interface import Backend
from aux_motion_core.inference.onnx import SHARE
from aux_motion_core.learning.learner import Learner
from aux_motion_core.predictor import Predictor
from aux_motion_core.solvers import one_blas_thread
from aux_motion_core.space.frames import Frames
from aux_motion_core.types import SkeletonFrame

#: Frames that go from one process to the other together, and how many such blocks may wait.
_BLOCK, _BLOCKS = 32, 8
_PATIENCE_S = 1.0
#: A batch has no more shares.
_MOST_THREADS = MOST_PEOPLE // SHARE
#: Numbers in what is said of messages: times, counts. Not those in names.
_NUMBER = re.compile(r"(?<![\w'/-])-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Job:
    """A bag to predict and judge.

    Attributes:
        bag: folder or file.
        out: folder of an evaluation's results.
        topic: skeleton topic; None: those that the parameters name, else the only one that would do.
        tracker: whose messages; None: as the parameters say, else told by the topic's type.
        joints: joint list of a tracker whose messages name none; empty: as the parameters say.
        params: ROS parameter file.
        namespace: of the node whose section of the file counts.
        values: parameters that win over it.
        compare: judge the baselines and the mix too.
        faults: to lay over the recording; empty: none.
        seed: of the faults.
        annotated: write the annotated MCAP.
        progress: show bars.
        workers: processes and threads; results do not depend on how many.
    """

    bag: Path
    out: Path = Path()
    topic: str | None = None
    tracker: str | None = None
    joints: tuple[str, ...] = ()
    params: Path | None = None
    namespace: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    compare: bool = True
    faults: str = ""
    seed: int = 0
    annotated: bool = True
    progress: bool = True
    workers: int = 1


class Reading:
    """The frames of a bag as the node would have them, and what was wrong with them.

    Raises:
        ValueError: one line on what is wrong with bag or parameters.
    """

    def __init__(self, job: Job) -> None:
        values = {**(file_parameters(job.params, job.namespace) if job.params else {}), **job.values}
        validate({"fixed_frame": "unknown", **{k: v for k, v in values.items() if v != ""}})  # errors in one line
        self._recorded = Recorded(job.bag, values, job.topic, job.tracker, job.joints)
        self.parameters = validate({**values, "fixed_frame": self._recorded.config.fixed_frame})
        #: Messages, about; None: not told.
        self.total: int | None = self._recorded.total or None
        self.rejected: Counter[str] = Counter()
        self.report = Report()

    @property
    def transforms(self) -> Frames | None:
        """Of the reading that goes on, with the bag's TF where it has some; None: none was begun."""
        return self._recorded.transforms

    def frames(self, start_ns: int | None = None) -> Iterator[tuple[int, SkeletonFrame]]:
        """(log_time_ns, frame in the fixed frame), counted anew.

        Args:
            start_ns: log time to begin at; None: the beginning.
        """
        self.rejected.clear()
        self.report = Report()
        reasons: dict[str, str] = {}  # without its numbers -> as it was said first

        def bad(error: ValueError) -> None:
            line = " ".join(str(error).split())
            self.rejected[reasons.setdefault(_NUMBER.sub("#", line), line)] += 1

        yield from self._recorded.frames(bad, self.report, start_ns)


def make(parameters: NodeParameters, workers: int = 1) -> Backend:
    """The backend that parameters ask for; on the CPU on more threads where there are more workers.

    Args:
        parameters: of the node.
        workers: processes and threads together, one of them for the judge.
    """
    folder = parameters.model_dir or str(default_model_dir())
    if parameters.backend == "onnx" and parameters.threads <= 1:
        threads = min(max(workers - 1, 1), _MOST_THREADS)
        return make_backend("onnx", folder, threads=threads, share=SHARE)
    return make_backend(parameters.backend, folder, threads=max(parameters.threads, 1), windows=sample_windows)


@dataclass
class End:
    """What is known after the last message.

    Attributes:
        rejected: reason -> messages that could not be used.
        damage: what is wrong with the bag, in one line; empty: nothing.
        inputs: most bodies of an input have no size that bodies have, cameras do not agree, or a transform was none.
        clock: troubles of the stamps, by name.
        counters: of the predictor, the tracker's adapter and the transforms.
        fallback: why another backend answered than the one that was asked for, in one line; empty: none did.
    """

    rejected: Counter[str] = field(default_factory=Counter)
    damage: str = ""
    inputs: list[str] = field(default_factory=list)
    clock: dict[str, int] = field(default_factory=dict)
    counters: Counter[str] = field(default_factory=Counter)
    fallback: str = ""


class Here:
    """A bag, predicted in this process; iterate once, then look at `end`.

    Args:
        job: what to read.
        reading: of it; None: opened here.
        learner: goes on learning; None: one of its own where it learns.

    Raises:
        ValueError: bag, model or parameters cannot be used.
    """

    def __init__(self, job: Job, reading: Reading | None = None, learner: Learner | None = None) -> None:
        one_blas_thread()  # products are small, and sums do not depend on how many cores there are
        self._reading = reading or Reading(job)
        self.parameters = self._reading.parameters
        self._backend = make(self._reading.parameters, job.workers)
        self.table: Calibration | None = getattr(self._backend, "calibration", None)
        config = quiet(self._reading.parameters, self.table is not None)
        self._predictor = Predictor(self._backend, config, self._reading.parameters.fixed_frame)
        if learner is not None:
            self._predictor.adopt(learner)
        self._predictor.warm_up()
        # onnxruntime leaves the interpreter to others while it works; other backends tell after each answer whether
        # they fell back, and the next one would overwrite it
        ahead = job.workers > 1 and self._backend.about.get("backend") == "onnx"
        self._thread = ThreadPoolExecutor(1, "ahead") if ahead else None
        #: Of the backend: the grid of its predictions, and what runs it.
        self.grid, self.backend = Grid.of(self._backend), self._backend.about.get("backend", "")
        self.end = End()

    @property
    def learner(self) -> Learner | None:
        """What learns on line; None: nothing does."""
        return self._predictor.learner

    def __iter__(self) -> Iterator[Replayed]:
        yield from predict_frames(self._reading.frames(), self._predictor, self._thread)
        r = self._reading
        counters = Counter(self._predictor.counters)
        counters.update(r.report.counters)
        fallback = self._backend.about.get("fallback", "")
        if fallback:
            fallback = f"the CPU predicted, not {self.parameters.backend}: {fallback}"
        self.end = End(r.rejected, r.report.damage, r.report.inputs, dict(r.report.stamps), counters, fallback)

    def close(self) -> None:
        """Give the backend back."""
        if self._thread is not None:
            self._thread.shutdown()
        self._backend.close()


@contextmanager
def starting() -> Iterator[None]:
    """Child processes started inside hear no Ctrl-C, which their parent hears too, from their first moment on."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # inherited: they are interrupted in no import
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def be_a_child() -> None:
    """In a child process: hear no Ctrl-C, and end with the parent, even where that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)  # killed: nobody takes what is made here


def _work(job: Job, out: Any) -> None:
    """In the child: everything goes into the queue `out`; an error as its line."""
    be_a_child()
    try:
        here = Here(job)
        out.put((here.grid, here.backend, here.table))
        block: list[Replayed] = []
        for item in here:
            block.append(item)
            if len(block) == _BLOCK:
                out.put(block)
                block = []
        out.put(block)
        out.put(here.end)
        here.close()
    except ValueError as error:
        out.put(str(error))
    except Exception as error:
        out.put(f"{type(error).__name__}: {error}")


class Beside:
    """As `Here`, in a process of its own, so that predicting and judging go on at the same time."""

    def __init__(self, job: Job) -> None:
        context = multiprocessing.get_context("spawn")  # a forked child must not inherit the parent's threads
        self._bag = job.bag
        self._queue = context.Queue(maxsize=_BLOCKS)
        self._process = context.Process(target=_work, args=(job, self._queue), daemon=True)
        with starting():
            self._process.start()
        self.end = End()
        try:
            self.grid, self.backend, self.table = self._next()
        except BaseException:
            self.close()
            raise

    def _next(self) -> Any:
        while True:
            try:
                item = self._queue.get(timeout=_PATIENCE_S)
            except queue.Empty:
                if self._process.is_alive():
                    continue
                raise BagError(
                    f"the process that predicts bag {self._bag} ended with exit code {self._process.exitcode}: "
                    "out of memory?"
                ) from None
            if isinstance(item, str):
                raise BagError(item)
            return item

    def __iter__(self) -> Iterator[Replayed]:
        while not isinstance(item := self._next(), End):
            yield from item
        self.end = item

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.join()
        self._queue.close()
