"""Recorded trackers: any tracker's bag as frames, by the adapters, the transforms and the queue of the node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.typesys import get_types_from_msg

from aux_motion_core import trackers
from aux_motion_core.bags.reader import BagError, BagReader, Topic
from aux_motion_core.space.frames import FrameQueue, Frames
from aux_motion_core.space.tf import TfBuffer
from aux_motion_core.trackers.base import Adapter
from aux_motion_core.types import SkeletonFrame
from aux_motion_core.wire.clock import LAST_STAMP_NS, StampClock, StampError
from aux_motion_core.wire.messages import MessageError

TF_TYPE = "tf2_msgs/msg/TFMessage"
#: Types that only a tracker of people sends; the others must be asked for by name.
_TELLING = ("aux_motion", "zed", "yolo", "hiros", "ros4hri")


@lru_cache(maxsize=1)
def interface_types() -> dict[str, Any]:
    """Message types of the trackers, for bags that carry no definitions."""
    types: dict[str, Any] = {}
    for path in sorted((Path(__file__).parent / "interfaces").glob("*.msg")):
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        first = lines[0].removeprefix("MSG: ")
        types.update(get_types_from_msg("\n".join(lines[1:]), first))
    return types


def choose(bag: BagReader, topic: str | None = None, tracker: str | None = None) -> tuple[Topic, str]:
    """The topic to read and the tracker that sent it.

    Args:
        bag: open.
        topic: its name; None: the only one that would do.
        tracker: one of `adapters.NAMES`; None: told by the topic's type, where only one tracker has it.

    Raises:
        BagError: none or several would do; lists them.
        AdapterError: no such tracker.
    """
    if tracker is not None:
        kind = trackers.adapter_class(tracker)
        return bag.select(kind.msgtype, topic), kind.name
    telling = {trackers.adapter_class(name).msgtype: name for name in _TELLING}
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


def own_frame(frames: Iterable[tuple[int, SkeletonFrame]]) -> str:
    """The frame of a bag's people, to be the fixed one where none is given; reads on until somebody is there.

    Args:
        frames: as `read_frames` gives them, in the tracker's frame.

    Returns:
        Of the first frame with people, else the first one that is named; empty: none is, or there are no frames.
    """
    named = ""
    for _, frame in frames:
        if frame.frame_id and frame.person_ids:
            return frame.frame_id
        named = named or frame.frame_id
    return named


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
    start_ns: int | None = None,
) -> Iterator[tuple[int, SkeletonFrame]]:
    """Frames of a bag, as the node would have had them.

    Args:
        path: bag folder or bare file.
        topic: topic to read; None: the only one that would do.
        tracker: one of `adapters.NAMES`; None: told by the topic's type.
        joints: joint list of a tracker whose messages name none.
        frame_id: frame of the positions, where the messages name a wrong one or none.
        frames: brings them to the fixed frame; where it has no TF of its own it gets the bag's. None: they stay in
            the tracker's frame.
        tf_timeout_s: how long a frame waits for its transform, on the clock of the log.
        on_bad: called with the reason for each message or frame that cannot be used, which is then skipped as the node
            does; None: such a message ends the reading with a `BagError`.
        on_damage: called once with one line where the bag is damaged; None: it is logged.
        adapter: to use instead of a new one, for its counters.
        counters: gets at the end what the adapter left out or marked, and what waited for its transform.
        clock: chooses each frame's stamp, before its transform is looked up; None: its own.
        start_ns: nothing that was logged before is read, but for static transforms.

    Yields:
        (log_time_ns, frame): when the frame could be used, which is later than its message where it had to wait.

    Raises:
        BagError: nothing can be read, or no topic would do.
        AdapterError: no such tracker, or a joint list that does not fit.
    """
    with BagReader(path, on_damage) as bag:
        chosen, name = choose(bag, topic, adapter.name if adapter is not None else tracker)
        adapter = adapter or trackers.make(name, joints=tuple(joints), frame_id=frame_id)
        dynamic = [t for t in bag.topics if t.msgtype == TF_TYPE and t.name.strip("/").split("/")[-1] == "tf"]
        static = [t for t in bag.topics if t.msgtype == TF_TYPE and t.name.strip("/").split("/")[-1] == "tf_static"]
        tf: TfBuffer | None = None
        if adapter.needs_tf or (frames is not None and frames.tf is None and (dynamic or static)):
            tf = TfBuffer()
            if frames is not None and frames.tf is None:
                frames.tf = tf
            for item in bag.messages(static) if static else ():  # latched: the node would have them from its start
                tf.add(item.message, static=True)
        if adapter.needs_tf and not dynamic:
            raise BagError(
                f"bag {path} has no /tf: tracker {name} sends its joints by TF, so record /tf and /tf_static too"
            )
        if tf is not None:
            adapter.tf = tf
        queue = FrameQueue(frames) if frames is not None else None
        timeout_ns = int(tf_timeout_s * 1e9)
        count = index = 0

        def bad(error: ValueError, where: str) -> None:
            line = " ".join(str(error).split()) or type(error).__name__
            if on_bad is None:
                raise BagError(f"bag {path}, {where}: {line}") from None
            on_bad(error)

        def out(log_time_ns: int, found: list[SkeletonFrame]) -> Iterator[tuple[int, SkeletonFrame]]:
            for frame in found:
                frame = frame if clock is None else clock.take(frame, log_time_ns)
                if not 0 <= frame.stamp_ns <= LAST_STAMP_NS:
                    bad(StampError(frame.stamp_ns), f"topic {chosen.name}")
                elif queue is None:
                    yield log_time_ns, frame
                else:
                    queue.push(0, frame, log_time_ns, log_time_ns)
            for ready in queue.drain(log_time_ns, timeout_ns) if queue is not None else ():
                if ready.frame is None:
                    bad(ready.error, f"topic {chosen.name}")
                else:
                    yield log_time_ns, ready.frame

        log_time_ns = 0
        for item in bag.messages([chosen, *dynamic] if tf is not None else chosen, start_ns):
            log_time_ns = item.log_time_ns
            if item.topic != chosen.name:
                tf.add(item.message)
                if adapter.needs_tf:
                    yield from out(log_time_ns, adapter.poll())
                elif queue is not None and len(queue):
                    yield from out(log_time_ns, [])
                continue
            count += 1
            try:
                found = adapter.frames(item.message)
            except (ValueError, AttributeError, TypeError, IndexError) as error:
                found = []
                wrong = error if isinstance(error, ValueError) else MessageError(str(error))
                bad(wrong, f"message {index} of {chosen.name}")
            index += 1
            yield from out(log_time_ns, found)
        if queue is not None and len(queue):
            yield from out(log_time_ns + timeout_ns, [])
        if counters is not None:
            for told in (adapter, queue, tf):
                counters.update(told.counters if told is not None else {})
        if not count and bag.damage:
            raise BagError(f"no message of {chosen} can be read: {bag.damage}")
        if not count:
            raise BagError(f"bag {path} has no message on {chosen.name}: record it while the tracker runs")
