# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""onnxruntime on the CPU."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from aux_motion_core.inference.artefact import Artefact, ArtefactError
from aux_motion_core.inference.interface import Answer

#: People that automatic threads are measured with, rounds of it, and the part of the time from which more are worth it.
_PEOPLE, _ROUNDS, _WORTH = 8, 5, 0.8
#: People in a share: more are no faster each.
SHARE = 12


class Loading:
    """A session that a thread loads from now on: onnxruntime works on the graph without Python's lock.

    Args:
        file: an ONNX file, or what may be one: whoever takes the session has checked it by then.
    """

    def __init__(self, file: Path) -> None:
        self._session: Future[Any] = Future()
        try:
            # Python waits for it where the process ends meanwhile: cut short inside C++ it would abort.
            threading.Thread(target=self._load, args=(file,), name="loading").start()
        except RuntimeError:  # the system gives none
            self._load(file)

    def _load(self, file: Path) -> None:
        try:
            self._session.set_result(_loaded(file))
        except BaseException as error:
            self._session.set_exception(error)

    def session(self) -> Any:
        """The session, once it is loaded; ArtefactError where onnxruntime cannot."""
        return self._session.result()

    def wait(self) -> None:
        """Until the thread has ended, whatever came of it."""
        self._session.exception()


class OnnxBackend:
    """The exported model, all people in one batch. See `Backend` for the interface.

    Several threads share the people between them, each runs the whole network: onnxruntime's own threads share every
    operation, and wake up for each, which costs more than so small a network gains (docs/performance.md).

    Args:
        artefact: a checked artefact.
        threads: how many; no more than people have work. 0: as many as are measured to be worth it.
        cores: that are this program's own; None: those of the process, of which one is left to others.
        share: most people that are answered at once; None: as many as fall to a thread. Matrix products round
            differently with their size: with a share the answer is the same to the bit for any number of threads.
        loading: of its file, not for automatic threads; the first answer waits for it and raises what is wrong.

    Raises:
        ArtefactError: onnxruntime cannot load the file, it or its tensors are not the ones that model.json names, or
            the system gives too few threads.
    """

    def __init__(
        self,
        artefact: Artefact,
        threads: int = 1,
        cores: int | None = None,
        share: int | None = None,
        loading: Loading | None = None,
    ) -> None:
        self._artefact, self._threads, self._cores, self._share = artefact, threads, cores, share
        self._session: Any = None  # an onnxruntime session while open
        self._loading = loading
        self._others: Any = None  # a thread pool where there are several threads
        self.name, self.version = artefact.name, artefact.version
        self.joint_names = tuple(artefact.joint_names)
        self.dt_s = artefact.dt_s
        self.calibration = artefact.calibration
        self.onnx_sha256 = artefact.onnx_sha256
        self.history_steps, self.future_steps = artefact.history_steps, artefact.future_steps
        self.counters: Counter[str] = Counter()
        self.about = {"backend": "onnx"}
        self.fell_back = False
        self._outputs = artefact.output_names
        if self._loading is None:
            self.open()
        else:
            self._start_others()
        self.about["runtime"] = f"onnxruntime {ort.__version__}, {self._threads} threads"

    def open(self) -> None:
        """See `Backend.open`."""
        if self._session is not None or self._loading is not None:
            return
        self._artefact.check_file()  # it may have changed since `close`
        self._session = self._checked(_loaded(self._artefact.onnx_file))
        try:
            if self._threads == 0:
                self._threads = self._measured()
            self._start_others()
        except ArtefactError:
            self.close()
            raise

    def _start_others(self) -> None:
        if self._threads > 1:
            self._others = _started(self._threads - 1)

    def _ready(self) -> Any:
        """The session, once it is loaded."""
        if self._loading is not None:
            self._session = self._checked(self._loading.session())
            self._loading = None
        return self._session

    def _checked(self, session: Any) -> Any:
        """The session, whose tensors are those that model.json names."""
        artefact = self._artefact
        for kind, tensors, expected in (
            ("input", session.get_inputs(), artefact.inputs),
            ("output", session.get_outputs(), artefact.outputs),
        ):
            got = {t.name: t.shape[1:] for t in tensors}
            want = {n: list(s[1:]) for n, s in expected.items()}
            if got != want:
                raise ArtefactError(
                    f"{artefact.onnx_file}: expected {kind}s {want} (model.json), the file has {got}; export it again"
                )
        return session

    def _measured(self) -> int:
        """How many threads are worth it for several people; `about` says why."""
        most = self._cores or max(len(os.sched_getaffinity(0)) - 1, 1)
        whose = "" if self._cores else ", one core is left to others"
        if most == 1:
            self.about["threads"] = f"1 (automatic: no more cores{whose})"
            return 1
        steps, joints = self.history_steps, len(self.joint_names)
        given = np.zeros((_PEOPLE, steps, joints, 3), np.float32), np.ones((_PEOPLE, steps, joints), bool)
        counts = [n for n in (1, 2, 4, 8) if n <= min(most, _PEOPLE)]
        self._others = _started(counts[-1] - 1)
        spent_s: dict[int, list[float]] = {n: [] for n in counts}
        for _ in range(_ROUNDS):  # in turn: who else is busy is so for all of them
            for n in counts:
                self._threads = n
                start = time.perf_counter()
                self.infer(*given)
                spent_s[n].append(time.perf_counter() - start)
        self._others.shutdown()
        self._others = None
        took_s = {n: sorted(s)[len(s) // 2] for n, s in spent_s.items()}
        chosen = 1
        for n in counts:
            if took_s[n] < _WORTH * took_s[chosen]:
                chosen = n
        times = ", ".join(f"{1e3 * s:.1f} ms on {n}" for n, s in took_s.items())
        self.about["threads"] = f"{chosen} (automatic: {_PEOPLE} people take {times}{whose})"
        return chosen

    def infer(self, values: np.ndarray, mask: np.ndarray) -> Answer:
        """See `Backend.infer`."""
        given = {"positions": np.ascontiguousarray(values, np.float32), "observed": mask.astype(np.float32)}
        session = self._session or self._ready()
        parts = ceil(len(values) / self._share) if self._share else min(self._threads, len(values))
        found = session.run(self._outputs, given) if parts < 2 else self._shared(given, parts)
        future, recovered, *scale = found
        return future, recovered, scale[0] if scale else None

    def _shared(self, given: dict[str, np.ndarray], parts: int) -> list[np.ndarray]:
        """As `run`, with equal shares of the people, which the threads take."""
        pieces = zip(*(np.array_split(array, parts) for array in given.values()), strict=True)
        first, *rest = (dict(zip(given, piece, strict=True)) for piece in pieces)
        if self._others is None:
            answers = [self._session.run(self._outputs, piece) for piece in (first, *rest)]
        else:
            waiting = [self._others.submit(self._session.run, self._outputs, piece) for piece in rest]
            answers = [self._session.run(self._outputs, first), *(w.result() for w in waiting)]
        return [np.concatenate(output) for output in zip(*answers, strict=True)]

    def close(self) -> None:
        """See `Backend.close`."""
        if self._loading is not None:
            self._loading.wait()
        self._session = self._loading = None
        if self._others is not None:
            self._others.shutdown()
            self._others = None


def _loaded(file: Path) -> Any:
    """A session of a file."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it could say as an error it raises
    try:
        return ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's exceptions have no common public base
        raise ArtefactError(
            f"{file}: onnxruntime {ort.__version__} cannot load it "
            f"({' '.join(str(error).split())[:200]}); export the model again"
        ) from None


def _started(threads: int) -> ThreadPoolExecutor:
    """A pool whose threads are there: they get the node's CPUs and priority when it is configured."""
    pool, all_there = ThreadPoolExecutor(threads, "inference"), threading.Barrier(threads + 1)
    try:
        for _ in range(threads):
            pool.submit(all_there.wait)
    except RuntimeError as error:
        all_there.abort()  # else those that are there wait for ever
        pool.shutdown()
        raise ArtefactError(f"threads {threads + 1}: the system gives fewer ({error}): ask for fewer") from None
    all_there.wait()
    return pool
