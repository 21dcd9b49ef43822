# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A pydantic model as the parameters of a node: declared with description, range and read-only flag, and read back.

The model is the one place of a parameter's default, description and range.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from rclpy.node import Node

#: Mark of a field that cannot change after the start of the node.
READ_ONLY: JsonDict = {"read_only": True}
#: Mark of a field that the next configure transition applies.
AT_CONFIGURE: JsonDict = {"at_configure": True}


class ParameterError(ValueError):
    """Parameters that cannot be used, in one line: which parameter, what was expected, what came."""


def _bounds(metadata: list[Any]) -> tuple[Any, Any]:
    low = high = None
    for item in metadata:
        low = getattr(item, "ge", getattr(item, "gt", low))
        high = getattr(item, "le", getattr(item, "lt", high))
    return low, high


def flag(name: str, key: str, model: type[BaseModel]) -> bool:
    """Whether parameter `name` carries the mark "read_only" or "at_configure"."""
    extra = model.model_fields[name].json_schema_extra
    return bool(isinstance(extra, dict) and extra.get(key))


#: How a value must be written that has another type than its parameter.
_HINTS: dict[Any, str] = {
    float: " (a whole number is written 1.0)",
    str: " (a number as text is written '\"1\"')",
    list: " (a list of whole numbers is written [1.0, 2.0])",
}
_TEXTS = " (a list of one is written [a])"
_WORDS: dict[Any, str] = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}


def _kind(info: FieldInfo) -> Any:
    """The type of a field as ROS has it: bool, int, float, str or list."""
    kind: Any = get_origin(info.annotation) or info.annotation
    if kind in (bool, int, float, str, list):
        return kind
    return str if info.is_required() else type(info.get_default(call_default_factory=True))


def _hint(info: FieldInfo) -> str:
    return _TEXTS if get_args(info.annotation) == (str,) else _HINTS.get(_kind(info), "")


def wrong_types(values: Mapping[str, Any], model: type[BaseModel]) -> list[str]:
    """Values that the node would refuse for their type, in one line each; names without a field are passed over.

    Args:
        values: by name, as `parameter_files` reads them.
        model: of the node's parameters.
    """
    found = []
    for name, value in values.items():
        info = model.model_fields.get(name)
        if info is None or flag(name, "on_off", model):
            continue
        kind = _kind(info)
        inner = get_args(info.annotation) if kind is list else ()
        if type(value) is kind and not (inner and any(type(v) is not inner[0] for v in value)):
            continue
        words = f"a list, each {_WORDS[inner[0]]}" if inner else _WORDS.get(kind, kind.__name__)
        came = "an empty list" if value is None else repr(value)
        found.append(f"parameter {name}: expected {words}, came {came}{_hint(info)}")
    return found


def declare(node: Node, model: type[BaseModel]) -> None:
    """Declare every field of `model` as a parameter of `node`.

    Raises:
        ParameterError: an override has the wrong type or is out of range.
    """
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
    from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException

    for name, info in model.model_fields.items():
        kind: Any = get_origin(info.annotation) or info.annotation
        default = "" if info.is_required() else info.get_default(call_default_factory=True)
        default = kind(default) if kind in (float, int) else default
        descriptor = ParameterDescriptor(
            name=name,
            description=info.description or "",
            read_only=flag(name, "read_only", model),
            # YAML reads a bare on or off as true or false
            dynamic_typing=flag(name, "on_off", model),
        )
        low, high = _bounds(info.metadata)
        if kind is float and (low is not None or high is not None):
            top = sys.float_info.max
            descriptor.floating_point_range = [
                FloatingPointRange(
                    from_value=float(-top if low is None else low),
                    to_value=float(top if high is None else high),
                )
            ]
        elif kind is int and (low is not None or high is not None):
            descriptor.integer_range = [
                IntegerRange(
                    from_value=-(2**63) if low is None else int(low),
                    to_value=2**63 - 1 if high is None else int(high),
                )
            ]
        try:
            node.declare_parameter(name, default, descriptor)
        except InvalidParameterTypeException as error:
            raise ParameterError(f"parameter {name}: {str(error).rstrip('.')}{_hint(info)}") from None
        except InvalidParameterValueException as error:
            span = f"from {low} to {high}" if low is not None or high is not None else "another value"
            raise ParameterError(f"parameter {name}: expected {span}; {str(error).rstrip('.')}") from None


def read(node: Node, model: type[BaseModel]) -> dict[str, Any]:
    """Values of all declared parameters of `model`, as plain Python."""
    values = {name: node.get_parameter(name).value for name in model.model_fields}
    return {name: list(value) if hasattr(value, "tolist") else value for name, value in values.items()}
