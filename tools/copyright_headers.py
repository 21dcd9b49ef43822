# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Put the copyright header into every source file that has none: `python tools/copyright_headers.py`.

`--check` changes nothing, names the files without one, and ends with status 1 when there are any.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINES = ("Copyright 2026 The aux_motion contributors", "SPDX-License-Identifier: Apache-2.0")
#: How each kind of file comments a line.
COMMENTS = {".py": "#", ".sh": "#", ".hpp": "//", ".cpp": "//"}


def sources() -> list[Path]:
    """Source files of the checkout, tracked or new."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    files = [ROOT / name for name in listed if Path(name).suffix in COMMENTS]
    return sorted(f for f in files if f.is_file() and not f.is_symlink())


def header(file: Path) -> str:
    """The header of a kind of file."""
    return "".join(f"{COMMENTS[file.suffix]} {line}\n" for line in LINES)


def without_header(files: list[Path]) -> list[Path]:
    """Those files that lack it; empty files need none."""
    return [f for f in files if (text := f.read_text(encoding="utf-8")) and header(f) not in text[:500]]


def add(file: Path) -> None:
    """Put the header in front, behind a `#!` line."""
    text = file.read_text(encoding="utf-8")
    first, rest = text.split("\n", 1) if text.startswith("#!") else ("", text)
    blank = "" if rest.startswith(COMMENTS[file.suffix]) else "\n"
    file.write_text((f"{first}\n" if first else "") + header(file) + blank + rest, encoding="utf-8")


def main() -> int:
    """Returns the exit status."""
    missing = without_header(sources())
    if "--check" in sys.argv[1:]:
        for file in missing:
            print(f"{file.relative_to(ROOT)}: no copyright header: run python tools/copyright_headers.py")
        return 1 if missing else 0
    for file in missing:
        add(file)
    print(f"{len(missing)} files got a header")
    return 0


if __name__ == "__main__":
    sys.exit(main())
