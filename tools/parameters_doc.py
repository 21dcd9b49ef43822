# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Write docs/parameters.md from the models of the parameters: `python tools/parameters_doc.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from aux_motion.nodes.declaration import flag  # noqa: E402
from aux_motion.nodes.parameters import NodeParameters  # noqa: E402
from aux_motion.nodes.ssm_parameters import SsmParameters  # noqa: E402

FILE = ROOT / "docs" / "parameters.md"
HEAD = """# Parameters

Made by `python tools/parameters_doc.py` from the models in `aux_motion_core/config.py` and `aux_motion/nodes`; a test
compares it with them. On a robot: `ros2 param describe /aux_motion_predictor <name>`. Values go into a YAML file
(`config/predictor.yaml`, `config/ssm.yaml`), or behind `-p` as `name:=value`.
"""


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) is list:
        return f"list of {get_args(annotation)[0].__name__}"
    return getattr(annotation, "__name__", str(annotation))


def _range(info: FieldInfo) -> str:
    limits = {k: getattr(m, k) for m in info.metadata for k in ("ge", "gt", "le") if hasattr(m, k)}
    if "le" not in limits:
        return ""
    low = f"{limits['ge']:g}" if "ge" in limits else f"above {limits['gt']:g}"
    return f", {low} to {limits['le']:g}"


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    if value in ("", [""]):
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _applies(name: str, model: type[BaseModel]) -> str:
    if flag(name, "read_only", model):
        return "at the start"
    return "at configure" if flag(name, "at_configure", model) else "at once"


def table(model: type[BaseModel]) -> str:
    """The parameters of a model as a table in Markdown, by name."""
    lines = ["| parameter | default | type | applies | |", "|---|---|---|---|---|"]
    for name, info in sorted(model.model_fields.items()):
        what = (info.description or "").replace(" Applied at configure.", "").replace("|", "\\|")
        cells = (f"`{name}`", _default(info), _kind(info.annotation) + _range(info), _applies(name, model), what)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page() -> str:
    """All of docs/parameters.md."""
    parts = [
        HEAD,
        "## `aux_motion_predictor`\n",
        table(NodeParameters),
        "\n## `aux_motion_ssm`\n",
        table(SsmParameters),
    ]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    FILE.write_text(page(), encoding="utf-8")
    print(f"written: {FILE.relative_to(ROOT)}")
