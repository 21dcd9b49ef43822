# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Seal model.json and separation.json of a model: put the hash over their content into them.

    python -m training.seal models/body20_25hz

Export and calibration do it themselves; this is for models of older versions, and after a change by hand.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from aux_motion_core.bounds.seal import FIELD, digest

#: What is sealed, where it is there.
FILES = ("model.json", "separation.json")


def seal(path: Path) -> str:
    """Put the hash into a file, as its last field, and leave all else as it is.

    Args:
        path: of a JSON object.

    Returns:
        The hash.
    """
    text = path.read_text(encoding="utf-8")
    content = json.loads(text)
    value = digest(content)
    if FIELD in content:
        text = text.replace(f'"{FIELD}": "{content[FIELD]}"', f'"{FIELD}": "{value}"')
    else:
        head, end = text.rstrip()[:-1].rstrip(), "}\n"
        text = f'{head},\n "{FIELD}": "{value}"\n{end}'
    if json.loads(text).get(FIELD) != value:
        raise ValueError(f"{path}: the hash could not be put in; write it anew with json.dumps")
    path.write_text(text, encoding="utf-8")
    return value


def main(model_dir: Annotated[Path, typer.Argument(help="Model folder.", show_default=False)]) -> None:
    """Seal a model."""
    for name in FILES:
        if (model_dir / name).is_file():
            typer.echo(f"{name}: {seal(model_dir / name)}")


if __name__ == "__main__":
    typer.run(main)
