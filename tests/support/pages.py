# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The pages of the documentation, and the commands that they name."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.M | re.S)
SPAN = re.compile(r"`([^`]+)`", re.S)


def ids(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def code(text: str) -> Iterator[str]:
    """Lines of code blocks, joined where they go on, and what stands in backticks."""
    for block in FENCE.finditer(text):
        yield from block[3].replace("\\\n", " ").splitlines()
    rest = FENCE.sub("", text)
    for line in rest.replace("\\\n", " ").splitlines():
        if line.startswith("    "):
            yield line
    for span in SPAN.finditer(rest):
        yield from re.split(r";\s", " ".join(span[1].split()))


def prose(text: str) -> str:
    """The text without code."""
    return SPAN.sub("", FENCE.sub("", text))


def words(line: str) -> list[str]:
    """The words of one command, up to a comment or to the next command."""
    parser = shlex.shlex(line, posix=True, punctuation_chars=";&|")
    parser.whitespace_split = True
    parser.commenters = "#"
    found = []
    try:
        for word in parser:
            if set(word) <= set(";&|"):
                break
            found.append(word)
    except ValueError:  # a quotation mark of the sentence around it
        return line.split()
    return found
