# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Hooks of mkdocs.yml: pages of the site that are written elsewhere in the repository."""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
#: Page of the site -> file of the repository. Neither has relative links that hold in one of the two places only.
PAGES = {"contributing.md": "CONTRIBUTING.md"}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in docs/."""
    for page, source in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files
