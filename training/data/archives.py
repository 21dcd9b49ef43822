# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Unpacks the data archives into a cache, once."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

#: archive -> a path it must bring
ARCHIVES = {
    "cmu_mocap_benchmark.tar.xz": "cmu_mocap",
    "cmu_asfamc_01_02.tar.xz": "subjects",
    "kinect_gestures.tar.xz": "kinect_gestures",
    "kth_handover_sample.tar.xz": "one_saved_handover_New",
    "human_assembly_arms.tar.xz": "Task1",
    "tracker_samples.tar.xz": "tracker_samples",
}
#: files beside the archives that the loaders read
TABLES = ("skeletons.json", "golden_cmu_positions.json")


def cache_root() -> Path:
    """$AUX_MOTION_CACHE, else build/data-cache in the repository."""
    given = os.environ.get("AUX_MOTION_CACHE")
    return Path(given) if given else Path(__file__).resolve().parents[2] / "build" / "data-cache"


def unpack(data_dir: str | os.PathLike) -> Path:
    """Unpack all archives of `data_dir` into the cache, once for each state of the archives.

    The folder appears whole or not at all, so that a killed run or two at a time do no harm.

    Returns:
        The folder with the contents of the archives.

    Raises:
        FileNotFoundError: the folder or an archive is missing.
        ValueError: an archive is damaged.
    """
    data_dir = Path(data_dir)
    if not data_dir.is_dir():
        raise FileNotFoundError(f"{data_dir}: expected a folder with the data archives; name it with --data")
    missing = [n for n in (*ARCHIVES, *TABLES) if not (data_dir / n).is_file()]
    if missing:
        raise FileNotFoundError(f"{data_dir}: missing {', '.join(missing)}; put them there or name another --data")
    key = hashlib.sha256()
    for name in (*ARCHIVES, *TABLES):
        stat = (data_dir / name).stat()
        key.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    root = cache_root()
    target = root / f"data-{key.hexdigest()[:12]}"
    if target.is_dir():
        return target
    root.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="unpacking-", dir=root))
    try:
        for name, brings in ARCHIVES.items():
            _extract(data_dir / name, part)
            if not (part / brings).exists():
                raise ValueError(f"{data_dir / name}: expected {brings}/ inside; get the archive again")
        for name in TABLES:
            shutil.copyfile(data_dir / name, part / name)
        os.chmod(part, 0o755)
        try:
            os.rename(part, target)
        except OSError:
            if not target.is_dir():  # otherwise another process was first
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _extract(archive: Path, folder: Path) -> None:
    try:
        with tarfile.open(archive, "r:xz") as tar:
            if hasattr(tarfile, "data_filter"):
                tar.extractall(folder, filter="data")
                return
            inside = folder.resolve()
            for member in tar.getmembers():
                path = (inside / member.name).resolve()
                if not (member.isfile() or member.isdir()) or inside not in (path, *path.parents):
                    raise ValueError(f"{archive}: unexpected entry {member.name}; get the archive again")
            tar.extractall(folder)
    except (tarfile.TarError, lzma.LZMAError, EOFError) as e:
        raise ValueError(f"{archive}: cannot be unpacked ({e}); get the archive again") from None
