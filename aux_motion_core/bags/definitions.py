# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Message definitions for bags: of this package, of trackers, of a bag itself, of the ROS packages installed here."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

from rosbags.typesys import Stores, get_types_from_idl, get_types_from_msg, get_typestore

from aux_motion_core.bags.files import BagError, Topic
from aux_motion_core.trackers import NAMES

SKELETONS = "aux_motion_msgs/msg/SkeletonArray"
PREDICTIONS = "aux_motion_msgs/msg/PredictionArray"
_MSG_FOLDER = Path(__file__).resolve().parents[1] / "msg"
_INTERFACES = Path(__file__).resolve().parents[1] / "trackers" / "interfaces"


@lru_cache(maxsize=1)
def interface_types() -> dict[str, Any]:
    """Message types of the trackers, for bags that carry no definitions."""
    types: dict[str, Any] = {}
    for path in sorted(_INTERFACES.glob("*.msg")):
        types.update(_parsed(path.read_text(encoding="utf-8")))
    return types


def _parsed(text: str) -> dict[str, Any]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    types: dict[str, Any] = get_types_from_msg("\n".join(lines[1:]), lines[0].removeprefix("MSG: "))
    return types


@lru_cache(maxsize=1)
def _common() -> Any:
    """The rosbags type store of ROS 2 with the messages of `aux_motion_msgs` registered."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types: dict[str, Any] = {}
    for path in sorted(_MSG_FOLDER.glob("*.msg")):
        types.update(get_types_from_msg(path.read_text(encoding="utf-8"), f"aux_motion_msgs/msg/{path.stem}"))
    if SKELETONS not in types:
        raise BagError(f"no message definitions in {_MSG_FOLDER}; reinstall aux_motion")
    store.register(types)
    return store


@lru_cache(maxsize=1)
def typestore() -> Any:
    """The rosbags type store of ROS 2 with the messages of `aux_motion_msgs` and of the trackers registered."""
    store = _common()
    store.register(interface_types())
    return store


def store_for(msgtype: str) -> Any:
    """A type store that knows a type, where it is known here; the trackers' messages are parsed only where needed."""
    store = _common()
    return store if msgtype in store.fielddefs else typestore()


def build_message(msgtype: str, fields: dict[str, Any]) -> Any:
    """A rosbags message object from nested dicts (`messages.frame_fields`, `messages.prediction_fields`).

    Args:
        msgtype: for instance `SKELETONS`.
        fields: every field of the type by its name.

    Returns:
        Dataclass of the type store, ready for `typestore().serialize_cdr`.
    """
    store = store_for(msgtype)
    values = {}
    for name, (_node, detail) in store.fielddefs[msgtype][1]:
        value = fields[name]
        if isinstance(value, dict):
            value = build_message(detail, value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            value = [build_message(detail[0][1], v) for v in value]
        values[name] = value
    return store.types[msgtype](**values)


def definitions_of(topic: Topic) -> dict[str, Any]:
    """Types of a topic's definition as the bag carries it."""
    kind, text = topic.definition
    if kind == "ros2msg":
        return get_types_from_msg(text, topic.msgtype)
    if kind != "ros2idl":
        return {}
    separator = "=" * 80 + "\n"
    parts = [text] if not text.startswith(f"{separator}IDL: ") else []
    parts = parts or [part.split("\n", 1)[1] for part in text.split(separator)[1:]]
    types: dict[str, Any] = {}
    for part in parts:
        types.update(get_types_from_idl(part))
    return types


def renamed_definitions(msgtype: str) -> dict[str, Any]:
    """Types of a tracker's package under an earlier name, made from those of today; empty where there are none."""
    package = msgtype.partition("/")[0]
    today = {old.partition("/")[0]: kind.msgtype.partition("/")[0] for kind in NAMES.values() for old in kind.earlier}
    if package not in today:
        return {}
    path = _INTERFACES / f"{today[package]}.msg"
    return _parsed(path.read_text(encoding="utf-8").replace(f"{today[package]}/", f"{package}/"))


def installed_definitions(msgtype: str, known: Collection[str]) -> dict[str, Any]:
    """Types that the ROS packages installed here define: `msgtype` and what it needs beside `known`."""
    types: dict[str, Any] = {}
    wanted = [msgtype]
    while wanted:
        name = wanted.pop()
        if name in known or name in types:
            continue
        package, _, short = name.partition("/msg/")
        folders = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p] + [Path(sys.prefix)]
        path = next((f for x in folders if (f := x / "share" / package / "msg" / f"{short}.msg").is_file()), None)
        if path is None:
            return {}
        found = get_types_from_msg(path.read_text(encoding="utf-8"), name)
        types.update(found)
        for _, fields in found.values():
            for _, (_, detail) in fields:
                while isinstance(detail, tuple) and detail and isinstance(detail[0], tuple):
                    detail = detail[0][1]  # of an array: its elements
                if isinstance(detail, str) and "/msg/" in detail:
                    wanted.append(detail)
    return types


def message_definition(msgtype: str) -> str:
    """The definition of a type as bags carry it (`ros2msg`, with those that it needs), "" where it is unknown here.

    Installed ROS packages come first: they are what the messages were made with.
    """
    store = typestore()
    types = installed_definitions(msgtype, ())
    if types:
        store = get_typestore(Stores.EMPTY)
        store.register(types)
    return store.generate_msgdef(msgtype, ros_version=2)[0] if msgtype in store.fielddefs else ""
