# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Memory-mapped shards of clips: written by `training.data.prepare`, read here.

A prepared folder holds `shard-<key>/` with `positions.npy` (frames, 20, 3) float32 metres, `mask.npy` (frames, 20)
bool, `stamps.npy` (frames,) float64 seconds and `shard.json` with the clips and the sources; and `manifest.json`,
written last, which says that the whole is complete.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from training.data.clip import Clip

SCHEMA_VERSION = 1
_ARRAYS = ("positions", "mask", "stamps")
_FIELDS = ("name", "group", "action", "rate_hz", "licence", "source")


def sha256(path: Path) -> str:
    """Digest of a file."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write beside, then rename."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".part-", delete=False) as part:
        try:
            json.dump(content, part, indent=1)
            part.close()
            os.chmod(part.name, 0o644)
            os.replace(part.name, path)
        except BaseException:
            os.unlink(part.name)
            raise


def write_shard(folder: Path, clips: list[Clip], sources: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Write one shard; it appears whole or not at all.

    Args:
        folder: its place, `<out>/shard-<key>`.
        clips: at least one.
        sources: source name -> {file: sha256}.

    Returns:
        The content of its shard.json.
    """
    part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
    try:
        np.save(part / "positions.npy", np.concatenate([c.positions for c in clips]).astype(np.float32, copy=False))
        np.save(part / "mask.npy", np.concatenate([c.mask for c in clips]))
        np.save(part / "stamps.npy", np.concatenate([c.stamps_s for c in clips]).astype(np.float64, copy=False))
        ends = np.cumsum([len(c.positions) for c in clips]).tolist()
        content = {
            "clips": [
                {**{k: getattr(c, k) for k in _FIELDS}, "first": first, "frames": end - first}
                for c, first, end in zip(clips, [0, *ends], ends)
            ],
            "sources": sources,
            "files": {f"{a}.npy": sha256(part / f"{a}.npy") for a in _ARRAYS},
        }
        (part / "shard.json").write_text(json.dumps(content, indent=1))
        os.chmod(part, 0o755)
        os.rename(part, folder)
    except OSError as e:
        shutil.rmtree(part, ignore_errors=True)
        reason = e.strerror or f"{e}, so the disk is full"  # numpy tells it by the bytes that it got rid of
        raise OSError(f"{folder}: cannot be written: {reason}: make room; what is done is kept") from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return content


def load_manifest(folder: str | os.PathLike) -> dict[str, Any]:
    """The manifest of a prepared folder.

    Raises:
        ValueError: missing (the conversion is not finished), or of another version.
    """
    path = Path(folder) / "manifest.json"
    if not path.is_file():
        raise ValueError(
            f"{folder}: no manifest.json, so it is not prepared, or only in part: run python -m training.data.prepare "
            f"with --out {folder} (again; it goes on where it stopped)"
        )
    try:
        manifest = json.loads(path.read_text())
        version = manifest["schema_version"]
        if version == SCHEMA_VERSION:
            _ = [(s["folder"], s["frames"], s["files"]) for s in manifest["shards"]]  # all there
    except (ValueError, KeyError, TypeError) as e:
        raise ValueError(f"{path}: cannot be read ({e!r}): delete it and run training.data.prepare again") from None
    if version != SCHEMA_VERSION:
        raise ValueError(
            f"{path}: expected schema_version {SCHEMA_VERSION}, got {version!r}: prepare the data set again"
        )
    return manifest


def load_prepared(folder: str | os.PathLike, verify: bool = False) -> list[Clip]:
    """The clips of a prepared folder; their arrays are views of memory-mapped files.

    Args:
        folder: `--out` of `python -m training.data.prepare`.
        verify: compare the files with the manifest's hashes (reads everything).

    Raises:
        ValueError: unfinished, damaged, or of another version; says what to do.
    """
    folder = Path(folder)
    manifest = load_manifest(folder)
    clips: list[Clip] = []
    for entry in manifest["shards"]:
        place = folder / entry["folder"]
        try:
            content = json.loads((place / "shard.json").read_text())
            positions, mask, stamps = (np.load(place / f"{a}.npy", mmap_mode="r") for a in _ARRAYS)
            if verify and any(sha256(place / name) != digest for name, digest in entry["files"].items()):
                raise ValueError("its hash is another")
            if len(positions) != entry["frames"] or len(mask) != len(positions) or len(stamps) != len(positions):
                raise ValueError(f"expected {entry['frames']} frames, got {len(positions)}")
            for c in content["clips"]:
                part = slice(c["first"], c["first"] + c["frames"])
                fields = {k: c[k] for k in _FIELDS}
                clips.append(Clip(**fields, stamps_s=stamps[part], positions=positions[part], mask=mask[part]))
        except (OSError, ValueError, KeyError, TypeError, EOFError) as e:
            raise ValueError(f"{place}: damaged ({e}): delete it and run training.data.prepare again") from None
    return clips
