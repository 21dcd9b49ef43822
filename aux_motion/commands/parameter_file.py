# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The predictor's parameters as a ROS parameter file gives them: the same as the node's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aux_motion.nodes.declaration import wrong_types
from aux_motion.nodes.parameter_files import (
    no_section,
    node_name,
    read_sections,
    unknown,
    unknown_text,
    values_for,
)
from aux_motion.nodes.parameters import NodeParameters, ParameterError

_NODE = "aux_motion_predictor"


def file_parameters(path: Path, namespace: str = "", say: Callable[[str], None] | None = None) -> dict[str, Any]:
    """The predictor's values in a ROS parameter file.

    Args:
        path: of the file.
        namespace: of the node, where the file has sections for several.
        say: called with one line about names that the node does not know; they are left out.

    Raises:
        ValueError: no such file, nothing that rcl takes, no section for the node, or a value of another type; one line.
    """
    node, sections = node_name(_NODE, namespace), read_sections(path)
    values = values_for(sections, node)
    if values is None:
        raise ParameterError(no_section(path, sections, node))
    if (strange := unknown(values, NodeParameters.model_fields)) and say is not None:
        say(f"parameter file {path}: {node} does not know {unknown_text(strange)}; nothing is changed by it")
    if wrong := wrong_types(values, NodeParameters):
        raise ParameterError(f"parameter file {path}: {wrong[0]}")
    return {k: v for k, v in values.items() if k in NodeParameters.model_fields}
