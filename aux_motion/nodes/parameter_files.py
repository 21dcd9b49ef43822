# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""ROS parameter files, read as rcl reads them: nested namespaces, wildcards, the types of plain and quoted values.

Only the standard library and PyYAML: launch files, which run in the interpreter of `ros2`, read files with it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

_KEY = "ros__parameters"
_STRING_TAG = "tag:yaml.org,2002:str"
_TRUE = {"Y", "y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
_FALSE = {"N", "n", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_WHOLE = re.compile(r"\s*[+-]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")  # strtoll with base 0
_INFINITE = re.compile(r"[+-]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_REAL = re.compile(
    r"\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|inf|infinity|nan|"
    r"0x([0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)(p[+-]?[0-9]+)?)",
    re.IGNORECASE,
)  # strtod
#: Parts of a section's name.
_PART = re.compile(r"\*\*?|[A-Za-z_][A-Za-z0-9_]*")
#: Parameters that every node of rclpy has.
_EVERY_NODE = ("use_sim_time", "start_type_description_service")


class ParameterFileError(ValueError):
    """A parameter file that cannot be read, in one line: which, where, what was expected."""


def plain_value(text: str) -> bool | int | float | str:
    """A value without quotation marks, of the type that rcl takes it for."""
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _WHOLE.fullmatch(text):
        digits = text.strip().lstrip("+-")
        value = int(digits, 16 if digits[:2].lower() == "0x" else 8 if digits[0] == "0" else 10)
        value = -value if text.strip().startswith("-") else value
        if -(2**63) <= value < 2**63:
            return value
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    if _REAL.fullmatch(text):
        number = float.fromhex(text) if "0x" in text.lower() else float(text)
        if abs(number) != float("inf") or "inf" in text.lower():  # too large for rcl
            return number
    return text


@dataclass
class _Reader:
    """Takes the events of YAML as rcl's parser does.

    Attributes:
        sections: name of a node -> its parameters, in the order of the file; a list without values is None.
    """

    path: Path
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)

    def fail(self, line: int, why: str) -> ParameterFileError:
        return ParameterFileError(f"parameter file {self.path}, line {line}: {why}")

    def read(self, events: Iterator[Any]) -> None:
        """Whole documents.

        Raises:
            ParameterFileError: not what rcl takes.
        """
        for event in events:
            if isinstance(event, yaml.MappingStartEvent):
                self._names(events, ())
            elif isinstance(event, (yaml.SequenceStartEvent, yaml.ScalarEvent)) and (
                not isinstance(event, yaml.ScalarEvent) or event.value
            ):
                raise self.fail(event.start_mark.line + 1, f"expected the name of a node and {_KEY} below it")

    def _key(self, event: Any) -> str:
        line = event.start_mark.line + 1
        if not isinstance(event, yaml.ScalarEvent):
            raise self.fail(line, "a key must be a name")
        if not event.value:
            raise self.fail(line, "a key is empty")
        return event.value

    def _names(self, events: Iterator[Any], above: tuple[str, ...]) -> None:
        """A mapping of namespaces and nodes."""
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            key, value = self._key(event), next(events)
            line = event.start_mark.line + 1
            if not isinstance(value, yaml.MappingStartEvent):
                what = "no mapping" if key.startswith(_KEY) else f"a value before {_KEY}"
                raise self.fail(line, f"{key!r} has {what}: rcl refuses a file with anything but nodes")
            if not key.startswith(_KEY):
                self._names(events, (*above, key))
                continue
            if not above:
                raise self.fail(line, f"{_KEY} without the name of a node above it, such as /**")
            self._parameters(events, self.sections.setdefault(self._name(above, line), {}), "")

    def _name(self, parts: tuple[str, ...], line: int) -> str:
        name = parts[0]
        for part in parts[1:]:
            name += part if name.endswith("/") else f"/{part}"
        if not all(_PART.fullmatch(part) for part in name.removeprefix("/").split("/")):
            raise self.fail(line, f"{name!r} is no name of a node: rcl refuses the file")
        return name

    def _parameters(self, events: Iterator[Any], into: dict[str, Any], above: str) -> None:
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                return
            name, value = above + self._key(event), next(events)
            if isinstance(value, yaml.MappingStartEvent):
                self._parameters(events, into, f"{name}.")
            elif isinstance(value, yaml.SequenceStartEvent):
                into[name] = self._list(events)
            else:
                into[name] = self._value(value)

    def _list(self, events: Iterator[Any]) -> list[Any] | None:
        values: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                return values or None
            if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
                raise self.fail(event.start_mark.line + 1, "a list holds values only")
            values.append(self._value(event))
            if type(values[-1]) is not type(values[0]):
                raise self.fail(event.start_mark.line + 1, "the values of a list must be of one type")
        return None

    def _value(self, event: Any) -> Any:
        if not isinstance(event, yaml.ScalarEvent):
            raise self.fail(event.start_mark.line + 1, "aliases (*name) are not taken by rcl")
        if event.tag == _STRING_TAG or event.style in ("'", '"'):
            return event.value
        if not event.value:
            raise self.fail(event.start_mark.line + 1, "a value is missing")
        return plain_value(event.value)


def read_sections(path: Path) -> dict[str, dict[str, Any]]:
    """What a parameter file says, by the names of its sections, in their order.

    Raises:
        ParameterFileError: no such file, no YAML, or nothing that rcl takes.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ParameterFileError(f"parameter file {path} cannot be read: {why}") from None
    reader = _Reader(path)
    try:
        reader.read(iter(yaml.parse(text)))
    except (yaml.YAMLError, StopIteration) as error:
        raise ParameterFileError(f"parameter file {path} is no YAML: {' '.join(str(error).split())}") from None
    return reader.sections


def text_value(text: str) -> Any:
    """A value as it stands behind NAME:= on a command line.

    Raises:
        ParameterFileError: it is none.
    """
    reader = _Reader(Path("of the command line"))
    try:
        for event in (events := iter(yaml.parse(text))):
            if isinstance(event, yaml.SequenceStartEvent):
                return reader._list(events)
            if isinstance(event, yaml.ScalarEvent):
                return reader._value(event)
    except (yaml.YAMLError, ParameterFileError):
        pass
    raise ParameterFileError(f"{text!r} is no value: expected a number, true, false, a text, or a list of them")


def fits(section: str, node: str) -> bool:
    """Whether a section is for a node: by name, or by * (one part of the name) and ** (any number of them).

    Args:
        section: its name; a leading slash may be missing.
        node: fully qualified, such as /robot1/aux_motion_predictor.
    """
    pattern = f"/{section.removeprefix('/')}".replace("/*", r"(/\w+)")
    return re.fullmatch(pattern, node, re.ASCII) is not None


def node_name(name: str, namespace: str | None = None) -> str:
    """Fully qualified name of a node."""
    inner = (namespace or "").strip("/")
    return f"/{inner}/{name}" if inner else f"/{name}"


def values_for(sections: dict[str, dict[str, Any]], node: str) -> dict[str, Any] | None:
    """Parameters of a node, later sections winning; None: no section is for it."""
    ours = [values for section, values in sections.items() if fits(section, node)]
    return {name: value for values in ours for name, value in values.items()} if ours else None


def no_section(path: Path | str, sections: Iterable[str], node: str) -> str:
    """That no section of a file is for a node, in one line."""
    there = ", ".join(sections) or "none"
    same = [f"/{s.removeprefix('/')}" for s in sections if s.rpartition("/")[2] == node.rpartition("/")[2]]
    elsewhere = [s.rpartition("/")[0] for s in same]
    hint = f"; for one of those set the namespace to {' or '.join(elsewhere)}" if all(elsewhere) and elsewhere else ""
    return f"parameter file {path} has no section for {node} (or /**) with {_KEY}; its sections: {there}{hint}"


def unknown(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Parameters that a node does not have -> the one that may be meant, or nothing."""
    known = [*known, *_EVERY_NODE]
    strange = [n for n in names if n not in known and not n.startswith("qos_overrides.")]
    if not strange:
        return {}
    import difflib  # only for mistakes

    return {n: next(iter(difflib.get_close_matches(n, known, 1, 0.75)), "") for n in strange}


def unknown_text(found: dict[str, str]) -> str:
    """`unknown` in words."""
    return ", ".join(f"{name} (did you mean {meant}?)" if meant else name for name, meant in found.items())


def files_of(arguments: Sequence[str]) -> list[Path]:
    """Parameter files that a command line with ROS arguments names."""
    found, ros = [], False
    for flag, value in zip(arguments, [*arguments[1:], ""]):
        ros = flag == "--ros-args" or (ros and flag != "--")
        if ros and flag == "--params-file":
            found.append(Path(value))
    return found
