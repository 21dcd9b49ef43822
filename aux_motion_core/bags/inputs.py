# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Recorded inputs: any trackers' topics of a bag through the input pipeline, as the node would have had them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aux_motion_core import trackers
from aux_motion_core.bags.reader import BagError, BagReader, Topic
from aux_motion_core.constants import NS
from aux_motion_core.space.frames import Frames, static_transforms
from aux_motion_core.space.tf import TfBuffer
from aux_motion_core.trackers.base import Adapter
from aux_motion_core.trackers.pipeline import Input, Pipeline, make_adapters
from aux_motion_core.trackers.settings import InputConfig
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.clock import StampClock
from aux_motion_core.wire.messages import MessageError

TF_TYPE = "tf2_msgs/msg/TFMessage"
#: Types that only a tracker of people sends; the others must be asked for by name.
_TELLING = ("aux_motion", "zed", "yolo", "hiros", "ros4hri", "ros_openpose", "openptrack", "jsk")
#: A frame of which nothing is known yet: where the positions stay as they came.
_ANY_FRAME = "unknown"


def choose(bag: BagReader, topic: str | None = None, tracker: str | None = None) -> tuple[Topic, str]:
    """The topic to read and the tracker that sent it.

    Args:
        bag: open.
        topic: its name; None: the only one that would do.
        tracker: one of `trackers.NAMES`; None: told by the topic's type, where only one tracker has it.

    Raises:
        BagError: none or several would do; lists them.
        AdapterError: no such tracker.
    """
    if tracker is not None:
        kind = trackers.adapter_class(tracker)
        own = [t.msgtype for t in bag.topics if t.msgtype in kind.types()]
        forks = [t.msgtype for t in bag.topics if kind.takes(t.msgtype)]
        return bag.select(own or forks or kind.types(), topic), kind.name
    telling = {msgtype: name for name in _TELLING for msgtype in trackers.adapter_class(name).types()}
    try:
        found = bag.select(list(telling), topic)
    except BagError as error:
        could = [
            f"{t.name} with --tracker {' or '.join(names)}"
            for t in bag.topics
            if t.msgtype not in telling and (names := trackers.for_type(t.msgtype))
        ]
        raise BagError(f"{error}; these may hold people: {', '.join(could)}" if could else str(error)) from None
    return found, telling[found.msgtype]


@dataclass
class Report:
    """What came of the reading beside the frames; whole when the last frame was taken.

    Attributes:
        damage: what is wrong with the bag, in one line; empty: nothing.
        counters: what adapters, transforms and fusion left out, marked or waited for.
        stamps: frames by what was wrong with their stamps.
        trouble: what the inputs' health says at the end, one line each.
        inputs: most bodies of an input have no size that bodies have, cameras do not agree, or a transform was none and
            the one before it was used; one line each.
    """

    damage: str = ""
    counters: Counter[str] = field(default_factory=Counter)
    stamps: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)


class Recorded:
    """The inputs of a bag, as the parameters of the node name them.

    Args:
        path: bag folder or bare file.
        values: parameters that were given (see `InputConfig`); what is left out is told by the bag where it can be:
            topic and tracker by the type of the messages, the fixed frame by the people's own (a fixed camera).
        topic: of the one input to read; None: those that `values` name.
        tracker: whose messages; None: as `values` say, else told by the topic's type.
        joints: joint list of a tracker whose messages name none; empty: as `values` say.

    Attributes:
        config: the parameters, with the fixed frame.
        total: messages of the inputs, about.
        transforms: of the reading that goes on, with the bag's TF where it has some; None: none was begun.

    Raises:
        BagError: nothing can be read, no topic would do, or nobody's frame is named.
        AdapterError: no such tracker, or a joint list that does not fit.
    """

    def __init__(
        self,
        path: str | Path,
        values: dict[str, Any],
        topic: str | None = None,
        tracker: str | None = None,
        joints: Sequence[str] = (),
    ) -> None:
        self.path = Path(path)
        self.transforms: Frames | None = None
        given = {k: v for k, v in values.items() if k in InputConfig.model_fields and v != ""}
        config = InputConfig.model_validate({"fixed_frame": _ANY_FRAME, **given})
        self._named = tracker or (config.tracker if "tracker" in config.model_fields_set else None)
        self._joints = list(joints) or config.given("tracker_joints")
        self._plan = self._inputs(config, topic, tracker)
        if "fixed_frame" not in given:
            config = config.model_copy(update={"fixed_frame": self._own_frame(config)})
        self.config = config
        with BagReader(self.path, on_damage=lambda line: None) as bag:
            self.total = sum(found.count for found, _ in self._choose(bag))

    def _inputs(
        self, config: InputConfig, topic: str | None, tracker: str | None
    ) -> list[tuple[str | None, str | None, str]]:
        """(topic, tracker, frame) of each input; None: told by the bag."""
        topics = config.given("input_topics")
        names = config.given("input_trackers") or [""]
        frames = config.given("input_frames") or [""]
        count = max(len(topics), 1)
        names = names * count if len(names) == 1 else names
        frames = frames * count if len(frames) == 1 else frames
        all_of_them = [
            (topics[i] if topics else config.input_topic or None, tracker or names[i] or self._named, frames[i])
            for i in range(count)
        ]
        if topic is None:
            return all_of_them
        same = [one for one in all_of_them if one[0] is not None and one[0].strip("/") == topic.strip("/")]
        return same[:1] or [(topic, self._named if count > 1 else all_of_them[0][1], frames[0] if count == 1 else "")]

    def _choose(self, bag: BagReader) -> list[tuple[Topic, str]]:
        return [choose(bag, topic, tracker) for topic, tracker, _ in self._plan]

    def _own_frame(self, config: InputConfig) -> str:
        """The frame of the people in the bag; reads on until somebody is there."""
        errors: list[ValueError] = []
        named = ""
        for _, frame in self._read(config, None, errors.append, Report()):
            if frame.frame_id and frame.person_ids:
                return frame.frame_id.lstrip("/")
            named = named or frame.frame_id.lstrip("/")
        if named:
            return named
        if errors:
            why = " ".join(str(errors[0]).split())
            raise BagError(f"no message of bag {self.path} can be used; the first one: {why}")
        raise BagError(
            f"no message of bag {self.path} names the frame of its positions, or nobody is in any of them: the tracker "
            "must set header.frame_id; or name it with input_frames in --params, and record while somebody is seen"
        )

    def frames(
        self,
        on_bad: Callable[[ValueError], None] | None = None,
        report: Report | None = None,
        start_ns: int | None = None,
    ) -> Iterator[tuple[int, SkeletonFrame]]:
        """Frames in the fixed frame; each call reads anew.

        Args:
            on_bad: as for `read`.
            report: is filled.
            start_ns: log time to begin at, as for `read`; None: the beginning.

        Yields:
            (log_time_ns, frame): when the frame could be used, which is later than its message where it had to wait.
        """
        c = self.config
        more = static_transforms(c.given("static_transforms"))
        frames = Frames(c.fixed_frame, c.static_transform_frame, c.static_transform, more, no_tf="the bag has no /tf")
        self.transforms = frames
        yield from self._read(c, frames, on_bad, report or Report(), start_ns)

    def _read(
        self,
        config: InputConfig,
        frames: Frames | None,
        on_bad: Callable[[ValueError], None] | None,
        report: Report,
        start_ns: int | None = None,
    ) -> Iterator[tuple[int, SkeletonFrame]]:
        def damaged(line: str) -> None:
            report.damage = line

        with BagReader(self.path, damaged) as bag:
            chosen = self._choose(bag)
            made = make_adapters([name for _, name in chosen], [frame for _, _, frame in self._plan], self._joints)
            pipeline = Pipeline.of(config, made, frames)
            pipeline.alike.names = [topic.name for topic, _ in chosen]
            yield from read(bag, [topic for topic, _ in chosen], pipeline, config.tf_timeout_s, on_bad, start_ns)
        report.counters.update(pipeline.counters())
        report.stamps.update(pipeline.stamps())
        several = len(chosen) > 1
        if pipeline.alike.ever:
            report.inputs.append(f"bag {self.path}: {pipeline.alike.ever}")
        for (topic, _), one in zip(chosen, pipeline.inputs, strict=True):
            if line := one.trouble():
                report.trouble.append(f"{topic.name}: {line}" if several else line)
            if line := one.sieve.unusable():
                report.inputs.append(f"bag {self.path}, {topic.name}: {line}")
            if frames is not None and (line := frames.remark(one.frame_id)):
                report.inputs.append(f"bag {self.path}, {topic.name}: {line}")


def read_frames(
    path: str | Path,
    topic: str | None = None,
    tracker: str | None = None,
    joints: Sequence[str] = (),
    frame_id: str = "",
    frames: Frames | None = None,
    tf_timeout_s: float = 0.05,
    on_bad: Callable[[ValueError], None] | None = None,
    on_damage: Callable[[str], None] | None = None,
    adapter: Adapter | None = None,
    counters: Counter[str] | None = None,
    clock: StampClock | None = None,
) -> Iterator[tuple[int, SkeletonFrame]]:
    """Frames of one topic of a bag.

    Args:
        path: bag folder or bare file.
        topic: topic to read; None: the only one that would do.
        tracker: one of `trackers.NAMES`; None: told by the topic's type.
        joints: joint list of a tracker whose messages name none.
        frame_id: frame of the positions, where the messages name a wrong one or none.
        frames: brings them to the fixed frame; where it has no TF of its own it gets the bag's. None: they stay in
            the tracker's frame.
        tf_timeout_s: how long a frame waits for its transform, on the clock of the log.
        on_bad: as for `read`.
        on_damage: called once with one line where the bag is damaged; None: it is logged.
        adapter: to use instead of a new one.
        counters: gets at the end what the adapter left out or marked, and what waited for its transform.
        clock: chooses each frame's stamp; None: its own.

    Yields:
        (log_time_ns, frame): when the frame could be used, which is later than its message where it had to wait.

    Raises:
        BagError: nothing can be read, or no topic would do.
        AdapterError: no such tracker, or a joint list that does not fit.
    """
    with BagReader(path, on_damage) as bag:
        chosen, name = choose(bag, topic, adapter.name if adapter is not None else tracker)
        adapter = adapter or trackers.make(name, joints=tuple(joints), frame_id=frame_id)
        pipeline = Pipeline([Input(index=0, adapter=adapter, clock=clock or StampClock())], frames)
        yield from read(bag, [chosen], pipeline, tf_timeout_s, on_bad)
        if counters is not None:
            counters.update(pipeline.counters())


def read(
    bag: BagReader,
    topics: Sequence[Topic],
    pipeline: Pipeline,
    tf_timeout_s: float = 0.05,
    on_bad: Callable[[ValueError], None] | None = None,
    start_ns: int | None = None,
) -> Iterator[tuple[int, SkeletonFrame]]:
    """Messages of a bag through an input pipeline.

    Args:
        bag: open.
        topics: of each input of the pipeline.
        pipeline: fresh; where it has no TF of its own it gets the bag's.
        tf_timeout_s: how long a frame waits for its transform, on the clock of the log.
        on_bad: called with the reason for each message or frame that cannot be used, which is then skipped as the node
            does; None: such a message ends the reading with a `BagError`.
        start_ns: nothing that was logged before is read, but for static transforms; None: everything is.

    Yields:
        (log_time_ns, frame): when the frame could be used.

    Raises:
        BagError: no message on any of the topics, or no /tf where a tracker sends its joints by TF.
    """
    tf, dynamic = _transforms(bag, pipeline)
    names = " and ".join(topic.name for topic in topics)
    by_topic: dict[str, list[Input]] = {}
    for topic, one in zip(topics, pipeline.inputs, strict=True):
        by_topic.setdefault(topic.name, []).append(one)
    unique = list({topic.key: topic for topic in topics}.values())
    polled = [one for one in pipeline.inputs if one.adapter.needs_tf]

    def bad(error: ValueError | None, where: str) -> None:
        line = " ".join(str(error).split()) or type(error).__name__
        if on_bad is None:
            raise BagError(f"bag {bag.path}, {where}: {line}") from None
        on_bad(error or ValueError(where))

    def push(one: Input, found: list[SkeletonFrame], log_time_ns: int) -> None:
        for frame in found:
            try:
                pipeline.push(one, [frame], log_time_ns, log_time_ns, log_time_ns)
            except ValueError as error:
                bad(error, f"topic {topics[one.index].name}")

    def drain(now_ns: int, used_ns: int) -> Iterator[tuple[int, SkeletonFrame]]:
        for ready in pipeline.drain(now_ns, tf_timeout_s):
            if ready.frame is None:
                bad(ready.error, f"topic {topics[ready.source].name}")
            else:
                yield used_ns, ready.frame
        pipeline.between_frames()

    log_time_ns, count = 0, Counter[str]()
    for item in bag.messages([*unique, *dynamic], start_ns):
        log_time_ns = item.log_time_ns
        if item.topic not in by_topic:
            if tf is not None:
                tf.add(item.message)
            for one in polled:
                push(one, one.adapter.poll(), log_time_ns)
            if polled or pipeline.waiting:
                yield from drain(log_time_ns, log_time_ns)
            continue
        for one in by_topic[item.topic]:
            try:
                found = one.adapter.frames(item.message)
            except (ValueError, AttributeError, TypeError, IndexError) as error:
                found = []
                wrong = error if isinstance(error, ValueError) else MessageError(str(error))
                bad(wrong, f"message {count[item.topic]} of {item.topic}")
            push(one, found, log_time_ns)
        count[item.topic] += 1
        yield from drain(log_time_ns, log_time_ns)
    if pipeline.waiting:
        end_ns = log_time_ns + int(tf_timeout_s * NS)
        yield from drain(end_ns, end_ns)
    if not count and bag.damage:
        raise BagError(f"no message of {' or '.join(map(str, topics))} can be read: {bag.damage}")
    if not count:
        raise BagError(f"bag {bag.path} has no message on {names}: record it while the tracker runs")


def _transforms(bag: BagReader, pipeline: Pipeline) -> tuple[TfBuffer | None, list[Topic]]:
    """Gives the bag's TF to a pipeline that wants it; the buffer and the topics to feed it with as they come."""
    called = [(t, t.name.strip("/").split("/")[-1]) for t in bag.topics if t.msgtype == TF_TYPE]
    dynamic, static = ([t for t, name in called if name == kind] for kind in ("tf", "tf_static"))
    frames = pipeline.frames
    asking = [one.adapter.name for one in pipeline.inputs if one.adapter.needs_tf]
    if asking and not dynamic:
        raise BagError(
            f"bag {bag.path} has no /tf: tracker {asking[0]} sends its joints by TF, so record /tf and /tf_static too"
        )
    if not asking and (frames is None or frames.tf is not None or not (dynamic or static)):
        return None, []
    tf = TfBuffer()
    if frames is not None and frames.tf is None:
        frames.tf = tf
    for item in bag.messages(static) if static else ():  # latched: the node would have them from its start
        tf.add(item.message, static=True)
    pipeline.feed(tf)
    return tf, dynamic
