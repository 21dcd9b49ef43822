# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""A hash inside a JSON file over all that is in it, so that a table that was changed afterwards is not believed.

It protects against damage, half copies and edits by hand. Against somebody who can write the file it does not: pin the
hash that `digest` gives (docs/security.md).
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

#: The field that holds the hash.
FIELD = "content_sha256"
_log = logging.getLogger(__name__)
_said: set[Path] = set()


class SealError(ValueError):
    """A file that is not what it was written as, in one line."""


def digest(content: dict[str, Any]) -> str:
    """Sha256 (hex) of a JSON object without its `FIELD`, whatever its layout and order."""
    plain = {k: v for k, v in content.items() if k != FIELD}
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(content: dict[str, Any]) -> dict[str, Any]:
    """The object with its hash as the last field."""
    return {**{k: v for k, v in content.items() if k != FIELD}, FIELD: digest(content)}


def opened(content: dict[str, Any], path: Path) -> dict[str, Any]:
    """The object without its hash, checked.

    Args:
        content: of a file.
        path: of the file; named where something is wrong, and once where there is no hash (older versions).

    Raises:
        SealError: the content is not what was sealed.
    """
    found = content.get(FIELD)
    if found is None:
        if path not in _said:
            _said.add(path)
            _log.warning(
                "%s has no %s (of an older version): nobody can tell whether its tables were changed; seal it with "
                "python -m training.seal",
                path,
                FIELD,
            )
        return content
    actual = digest(content)
    if found != actual:
        raise SealError(
            f"{path}: expected {FIELD} {str(found)[:12]}..., the content has {actual[:12]}...: it was changed after it "
            "was written; copy the artefact again, or seal what you changed yourself with python -m training.seal"
        )
    return {k: v for k, v in content.items() if k != FIELD}
