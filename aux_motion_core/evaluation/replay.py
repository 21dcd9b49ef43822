"""A bag through the predictor, message by message as the node takes them, without DDS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from aux_motion_core.bags import reader
from aux_motion_core.evaluation.judge import Judge, Verdict
from aux_motion_core.predictor import Predictor
from aux_motion_core.space.frames import Frames
from aux_motion_core.trackers import read_frames
from aux_motion_core.types import MotionPrediction, PredictionBatch, SkeletonFrame, TrackState
from aux_motion_core.wire.clock import StampClock

#: A log time farther from the stamp than this is of another clock, and the stamp is taken as time of arrival.
_SAME_CLOCK_NS = 10_000_000_000
PREDICTED = (TrackState.TRACKING, TrackState.DEGRADED)


@dataclass
class Report:
    """What a replay did.

    Attributes:
        frames: messages that were used.
        rejected: reason -> messages that were not.
        predictions: messages with at least one predicted (not merely held) person.
        people: ids of the people seen.
        duration_s: from the first stamp to the last.
        wall_s: time spent in the predictor.
        counters: of the predictor: what was dropped and repaired.
        verdict: errors against what was seen later, or None when not judged.
    """

    frames: int = 0
    rejected: Counter = field(default_factory=Counter)
    predictions: int = 0
    people: set[str] = field(default_factory=set)
    duration_s: float = 0.0
    wall_s: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)
    verdict: Verdict | None = None


def arrival_ns(log_time_ns: int, stamp_ns: int) -> int:
    """When a recorded message came in, on the clock of its stamps."""
    return log_time_ns if 0 <= log_time_ns - stamp_ns <= _SAME_CLOCK_NS else stamp_ns


def by_person(batch: PredictionBatch) -> dict[str, MotionPrediction]:
    """A batch's predictions by person id."""
    return {p.person_id: p for p in batch.people}


def judge_batches(judge: Judge, frame: SkeletonFrame, batches: Mapping[str, PredictionBatch]) -> None:
    """Feed a judge with a frame and what each source predicted from it.

    Args:
        judge: of the same sources.
        frame: in the predictions' frame.
        batches: source -> batch.
    """
    judge.observe(frame)
    people = {source: by_person(batch) for source, batch in batches.items()}
    dt_s = next(iter(batches.values())).dt_s
    for person_id in frame.person_ids:
        judge.predict({s: p[person_id] for s, p in people.items() if person_id in p}, dt_s)


def predict_bag(
    bag: str | Path,
    predictors: Mapping[str, Predictor],
    out: str | Path | None = None,
    topic: str | None = None,
    tracker: str | None = None,
    joints: Sequence[str] = (),
    frames: Frames | None = None,
    to_fixed: Callable[[SkeletonFrame], SkeletonFrame] | None = None,
    progress: Callable[[Iterable], Iterable] | None = None,
    clock: StampClock | None = None,
) -> Report:
    """Predict a whole bag, write the predictions, judge them by what was seen later.

    Args:
        bag: folder or bare file.
        predictors: the first one is reported and written, the others (baselines) are judged beside it.
        out: `.mcap` to write with topics /skeletons (in the fixed frame) and /predictions, or None.
        topic: skeleton topic, where the bag has several.
        tracker: one of `adapters.NAMES`; None: told by the topic's type.
        joints: joint list of a tracker whose messages name none.
        frames: brings frames to the fixed frame, with the bag's TF where it has some.
        to_fixed: or: brings a frame to the fixed frame; raises ValueError when it cannot.
        progress: wraps the iteration over messages, for instance tqdm.
        clock: chooses each frame's stamp; None: its own.

    Returns:
        What was done.

    Raises:
        BagError: the bag cannot be read, or no message of it can be used.
    """
    report = Report()
    main = next(iter(predictors))
    judge = Judge(predictors)

    def bad(error: ValueError) -> None:
        report.rejected[str(error)] += 1

    def usable() -> Iterator[tuple[int, SkeletonFrame]]:
        for log_time_ns, frame in read_frames(bag, topic, tracker, joints, frames=frames, on_bad=bad, clock=clock):
            try:
                yield log_time_ns, to_fixed(frame) if to_fixed else frame
            except ValueError as error:
                bad(error)

    first_ns = last_ns = None
    with ExitStack() as stack:
        writer = stack.enter_context(reader.BagWriter(out)) if out is not None else None
        found = usable()
        for log_time_ns, frame in progress(found) if progress else found:
            now_ns = arrival_ns(log_time_ns, frame.stamp_ns)
            batches = {}
            for name, predictor in predictors.items():
                start = perf_counter()
                predictor.add(frame)
                batches[name] = predictor.predict(now_ns)
                report.wall_s += perf_counter() - start if name == main else 0.0
            batch = batches[main]
            judge_batches(judge, frame, batches)
            report.frames += 1
            report.people.update(frame.person_ids)
            report.predictions += any(p.state in PREDICTED for p in batch.people)
            first_ns = frame.stamp_ns if first_ns is None else min(first_ns, frame.stamp_ns)
            last_ns = frame.stamp_ns if last_ns is None else max(last_ns, frame.stamp_ns)
            if writer:
                writer.write("/skeletons", frame, now_ns)
                writer.write("/predictions", batch, now_ns)
        if not report.frames:
            if not report.rejected:
                raise reader.BagError(f"nobody is in any message of bag {bag}: record while the tracker sees somebody")
            reason, count = report.rejected.most_common(1)[0]
            raise reader.BagError(f"no message of bag {bag} can be used; {count} of them: {reason}")
    report.duration_s = (last_ns - first_ns) * 1e-9
    report.counters = dict(predictors[main].counters)
    report.verdict = judge.verdict()
    return report
