"""Skeletons and predictions in rosbag2 bags, read and written without ROS.

Reads sqlite3 and MCAP, as a bag folder or as a bare `.mcap` or `.db3` file; writes one `.mcap` file that
`ros2 bag`, Foxglove and this module open.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from aux_motion_core.messages import (
    MessageError,
    batch_from_message,
    frame_fields,
    frame_from_message,
    prediction_fields,
)
from aux_motion_core.types import PredictionBatch, SkeletonFrame

SKELETONS = "aux_motion_msgs/msg/SkeletonArray"
PREDICTIONS = "aux_motion_msgs/msg/PredictionArray"
_MSG_FOLDER = Path(__file__).resolve().parent / "msg"


class BagError(ValueError):
    """A bag that cannot be used, in one line: expected, came, what to do."""


@lru_cache(maxsize=1)
def typestore() -> Any:
    """The rosbags type store of ROS 2 with the messages of `aux_motion_msgs` registered."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for path in sorted(_MSG_FOLDER.glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"aux_motion_msgs/msg/{path.stem}"))
    if SKELETONS not in types:
        raise BagError(f"no message definitions in {_MSG_FOLDER}; reinstall aux_motion")
    store.register(types)
    return store


def build_message(msgtype: str, fields: dict[str, Any]) -> Any:
    """A rosbags message object from nested dicts (`messages.frame_fields`, `messages.prediction_fields`).

    Args:
        msgtype: for instance `SKELETONS`.
        fields: every field of the type by its name.

    Returns:
        Dataclass of the type store, ready for `typestore().serialize_cdr`.
    """
    store = typestore()
    values = {}
    for name, (_node, detail) in store.fielddefs[msgtype][1]:
        value = fields[name]
        if isinstance(value, dict):
            value = build_message(detail, value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            value = [build_message(detail[0][1], v) for v in value]
        values[name] = value
    return store.types[msgtype](**values)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__


@dataclass(frozen=True)
class BagMessage:
    """One message of a bag.

    Attributes:
        topic: its topic.
        log_time_ns: when it was recorded, nanoseconds.
        message: rosbags message object.
    """

    topic: str
    log_time_ns: int
    message: Any


def _open(path: Path) -> AnyReader:
    if not path.exists():
        raise BagError(f"no such bag: {path}; give a bag folder (with metadata.yaml), a .mcap or a .db3 file")
    if path.is_file() and path.suffix not in (".mcap", ".db3"):
        raise BagError(f"{path} is no rosbag2 bag: expected a bag folder, a .mcap or a .db3 file")
    if path.is_file() and path.stat().st_size == 0:
        raise BagError(f"bag {path} is empty (0 bytes): record it again")
    reader = None
    try:
        reader = AnyReader([path], default_typestore=typestore())
        reader.open()
    except BagError:
        raise
    except Exception as error:  # whatever a damaged file makes of a reader
        raise BagError(
            f"cannot open bag {path}: {_first_line(error)} (cut off or damaged? "
            "`mcap recover` or `ros2 bag reindex` may save what is in it)"
        ) from None
    return reader


def read_messages(path: str | Path, msgtype: str, topic: str | None = None) -> Iterator[BagMessage]:
    """Messages of one topic in the order of their log times.

    Args:
        path: bag folder or bare `.mcap` / `.db3` file.
        msgtype: type that the topic must have, for instance `SKELETONS`.
        topic: topic to read; None: the only one of this type.

    Yields:
        One `BagMessage` after the other.

    Raises:
        BagError: damaged or empty bag, no topic (or several) of that type; lists the topics there are.
    """
    path = Path(path)
    reader = _open(path)
    try:
        listed = sorted({f"{c.topic} [{c.msgtype}]" for c in reader.connections}) or ["no topics at all"]
        wanted = [c for c in reader.connections if c.msgtype == msgtype]
        if topic is not None:
            wanted = [c for c in wanted if c.topic.lstrip("/") == topic.lstrip("/")]
        if not wanted:
            what = f"topic {topic!r} of type {msgtype}" if topic else f"topic of type {msgtype}"
            raise BagError(f"bag {path} has no {what}; it has: {', '.join(listed)}")
        topics = sorted({c.topic for c in wanted})
        if len(topics) > 1:
            raise BagError(f"bag {path} has several {msgtype}: {', '.join(topics)}; name one (--topic)")
        count = 0
        messages = iter(reader.messages(connections=wanted))
        while True:
            try:
                connection, log_time_ns, raw = next(messages)
                message = reader.deserialize(raw, connection.msgtype)
            except StopIteration:
                break
            except Exception as error:
                raise BagError(
                    f"bag {path} ends after {count} messages: {_first_line(error)} (cut off or damaged?)"
                ) from None
            count += 1
            yield BagMessage(connection.topic, int(log_time_ns), message)
        if not count:
            raise BagError(f"bag {path} has no message on {topics[0]}: record it while the tracker runs")
    finally:
        reader.close()


def count_messages(path: str | Path, msgtype: str, topic: str | None = None) -> int:
    """How many messages of a type (and topic) a bag holds; `BagError` when it cannot be opened."""
    reader = _open(Path(path))
    try:
        return sum(
            c.msgcount
            for c in reader.connections
            if c.msgtype == msgtype and (topic is None or c.topic.lstrip("/") == topic.lstrip("/"))
        )
    finally:
        reader.close()


def read_skeletons(
    path: str | Path, topic: str | None = None, on_bad: Callable[[MessageError], None] | None = None
) -> Iterator[tuple[int, SkeletonFrame]]:
    """Skeleton frames of a bag.

    Args:
        path: bag folder or bare `.mcap` / `.db3` file.
        topic: topic to read; None: the only `SkeletonArray` topic.
        on_bad: called with the reason for each message that cannot be used, which is then skipped as a node
            does; None: such a message ends the reading with a `BagError`.

    Yields:
        (log_time_ns, frame).

    Raises:
        BagError: see `read_messages`.
    """
    for index, item in enumerate(read_messages(path, SKELETONS, topic)):
        try:
            frame = frame_from_message(item.message)
        except (MessageError, AttributeError, TypeError) as error:
            if on_bad is None:
                raise BagError(f"bag {path}, message {index} of {item.topic}: {_first_line(error)}") from None
            on_bad(error if isinstance(error, MessageError) else MessageError(_first_line(error)))
            continue
        yield item.log_time_ns, frame


def read_predictions(path: str | Path, topic: str | None = None) -> Iterator[tuple[int, PredictionBatch]]:
    """Predictions of a bag as (log_time_ns, batch); raises as `read_messages`."""
    for index, item in enumerate(read_messages(path, PREDICTIONS, topic)):
        try:
            yield item.log_time_ns, batch_from_message(item.message)
        except (MessageError, AttributeError, TypeError) as error:
            raise BagError(f"bag {path}, message {index} of {item.topic}: {_first_line(error)}") from None


class BagWriter:
    """Writes one `.mcap` file; use as a context manager.

    The file appears under its name only when everything was written, and replaces an older one; when the
    body of the `with` fails, nothing is left behind.

    Args:
        path: ends in `.mcap`; folders are made.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if self.path.suffix != ".mcap" or self.path.is_dir():
            raise BagError(f"cannot write {self.path}: expected the name of a file that ends in .mcap")
        self._writer: Writer | None = None
        self._folder: Path | None = None
        self._connections: dict[str, Any] = {}

    def __enter__(self) -> BagWriter:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=f".{self.path.stem}.", dir=self.path.parent))
        except OSError as error:
            raise BagError(f"cannot write {self.path}: {error.strerror or error}") from None
        self._writer = Writer(self._folder / self.path.stem, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._writer.open()
        return self

    def write(self, topic: str, message: SkeletonFrame | PredictionBatch, log_time_ns: int) -> None:
        """Append a message; a topic carries one type.

        Args:
            topic: for instance `/skeletons`; a relative name is taken from the root.
            message: a frame (written as SkeletonArray) or a batch (PredictionArray).
            log_time_ns: when it was received, nanoseconds.
        """
        if self._writer is None:
            raise BagError(f"bag {self.path} is not open: use `with BagWriter(path) as bag`")
        if isinstance(message, SkeletonFrame):
            msgtype, fields = SKELETONS, frame_fields(message)
        else:
            msgtype, fields = PREDICTIONS, prediction_fields(message)
        topic = "/" + topic.lstrip("/")  # recorded names are absolute
        connection = self._connections.get(topic)
        if connection is None:
            connection = self._writer.add_connection(topic, msgtype, typestore=typestore())
            self._connections[topic] = connection
        elif connection.msgtype != msgtype:
            raise BagError(f"topic {topic} of bag {self.path} carries {connection.msgtype}, not {msgtype}")
        raw = typestore().serialize_cdr(build_message(msgtype, fields), msgtype)
        self._writer.write(connection, int(log_time_ns), raw)

    def __exit__(self, exc_type: Any, exc: Any, trace: Any) -> None:
        writer, self._writer = self._writer, None
        try:
            if writer is not None:
                writer.close()
            if exc_type is None:
                (self._folder / self.path.stem / f"{self.path.stem}.mcap").replace(self.path)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
