# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Files that are installed with this package, by the names that its pages use: samples/..., config/..., models/..."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_FOLDERS = ("config", "models", "samples")


def find(path: Path) -> Path:
    """A path as it is given; where nothing is there, the installed file of that name, if there is one."""
    if path.is_absolute() or path.exists() or path.parts[:1] not in [(folder,) for folder in _FOLDERS]:
        return path
    from aux_motion.nodes.parameters import default_model_dir  # takes long, and only here

    installed = default_model_dir().parents[1] / path
    return installed if installed.exists() else path


def shipped(value: Any) -> Any:
    """Callback of options and arguments that take one path or several, or none."""
    if isinstance(value, list):
        return [find(Path(v)) for v in value]
    return value if value is None else find(Path(value))
