"""The predictor's parameters as a ROS parameter file gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from aux_motion.nodes.parameters import NodeParameters, ParameterError

_NODE = "aux_motion_predictor"


def file_parameters(path: Path) -> dict[str, Any]:
    """The predictor's values in a ROS parameter file.

    Raises:
        ParameterError: no such file, no YAML, or nothing in it for the node.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"cannot read parameter file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"parameter file {path} is no YAML: {' '.join(str(error).split())}") from None
    values: dict[str, Any] = {}
    for key, section in (content or {}).items() if isinstance(content, dict) else ():
        if key.strip("/").split("/")[-1] in ("**", _NODE) and isinstance(section, dict):
            values.update(section.get("ros__parameters") or {})
    if not values:
        raise ParameterError(f"parameter file {path} has no section {_NODE} (or /**) with ros__parameters")
    return {k: v for k, v in values.items() if k in NodeParameters.model_fields}
