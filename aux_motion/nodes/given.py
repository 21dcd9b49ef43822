# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What a node was given on its command line: parameter files it can read, sections that fit, names that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from aux_motion.nodes.parameter_files import files_of, fits, no_section, read_sections, unknown, unknown_text


def check_files(arguments: Sequence[str]) -> None:
    """See that each parameter file can be read, before rcl says so in several lines.

    Args:
        arguments: command line with ROS arguments.

    Raises:
        ParameterFileError: one cannot, in one line.
    """
    for path in files_of(arguments):
        read_sections(path)


def without_section(arguments: Sequence[str], node: Any) -> list[str]:
    """Parameter files of which no section is for the node: rcl takes them for no parameters at all.

    Args:
        arguments: command line with ROS arguments.
        node: made from it.

    Returns:
        One line for each.
    """
    name, found = node.get_fully_qualified_name(), []
    for path in files_of(arguments):
        sections = read_sections(path)
        if not any(fits(section, name) for section in sections):
            found.append(no_section(path, sections, name))
    return found


def unknown_names(node: Any, model: type[BaseModel]) -> tuple[str, bool]:
    """Parameters that were given and that the node does not have.

    Args:
        node: has declared its parameters.
        model: of its parameters.

    Returns:
        One line, empty when there are none, and whether one of them looks mistyped. One file may serve several nodes,
        so a name of another node below /** is no mistake.
    """
    found = unknown(getattr(node, "_parameter_overrides", {}), model.model_fields)
    if not found:
        return "", False
    line = f"parameters that {node.get_fully_qualified_name()} does not know, and that change nothing: "
    return line + unknown_text(found), any(found.values())
