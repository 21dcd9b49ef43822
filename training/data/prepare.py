# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Convert a data set once into memory-mapped shards:

    python -m training.data.prepare --dataset cmu --data ../shared/data --out build/prepared/cmu

A run that was killed goes on where it stopped; files that changed, or were added, are converted again.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from training.commands import guard
from training.data import clip as clip_module
from training.data.registry import DATASETS, dataset
from training.data.shards import SCHEMA_VERSION, load_manifest, sha256, write_json, write_shard
from training.data.sources import Options, Source

#: Bytes of source files that make a shard: little is lost when a run is killed.
SHARD_BYTES = 32 << 20


def loaders_key() -> str:
    """Changes with the loaders' source, so that what older loaders made is made again."""
    code = sorted(Path(clip_module.__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(p.read_bytes() for p in code)).hexdigest()[:12]


def files_of(source: Source) -> list[Path]:
    """What a source is read from."""
    return [*([source.path] if source.path.is_file() else []), *source.needs]


def plan(name: str, sources: list[Source]) -> dict[str, list[Source]]:
    """Sources by shard folder, whose name changes with the files' names, sizes and times and with the loaders."""
    shards: dict[str, list[Source]] = {}
    group: list[Source] = []
    size, key = 0, hashlib.sha256()
    for k, source in enumerate(sources):
        group.append(source)
        if len(group) == 1:
            key = hashlib.sha256(f"{SCHEMA_VERSION} {loaders_key()} {name}\n".encode())
        for path in files_of(source):
            stat = path.stat()
            size += stat.st_size if path not in source.needs or source.path.is_dir() else 0
            key.update(f"{source.name} {path.name} {stat.st_size} {stat.st_mtime_ns} {source.topic}\n".encode())
        if size >= SHARD_BYTES or k + 1 == len(sources):
            shards[f"shard-{key.hexdigest()[:16]}"] = group
            group, size = [], 0
    return shards


def end_with_parent() -> None:
    """A worker whose parent is killed would wait for ever."""

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def convert(name: str, sources: list[Source], folder: Path) -> None:
    """One shard, in a process of its own."""
    clips = [c for s in sources for c in dataset(name).load(s)]
    hashes = {s.name: {p.name: sha256(p) for p in files_of(s)} for s in sources}
    write_shard(folder, clips, hashes)


def prepare(
    name: str, data: Path, out: Path, options: Options, workers: int = 1, progress: bool = True
) -> dict[str, Any]:
    """Convert a data set; returns the manifest.

    Raises:
        ValueError, OSError: the data set is not as expected, or the disk is full; shards that are done stay.
    """
    sources = dataset(name).find(data, options)
    twice = [n for n, count in Counter(s.name for s in sources).items() if count > 1]
    if twice:
        raise ValueError(f"{data}: two files would be {twice[0]!r}: rename one")
    shards = plan(name, sources)
    out.mkdir(parents=True, exist_ok=True)
    if (out / "manifest.json").is_file() and (held := load_manifest(out).get("dataset")) != name:
        raise ValueError(f"{out}: holds {held}, not {name}: name another folder with --out")
    (out / "manifest.json").unlink(missing_ok=True)  # from here on it is unfinished
    for left in out.glob(".part-*"):  # of a run that was killed
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    todo = {f: group for f, group in shards.items() if not (out / f / "shard.json").is_file()}
    done = sum(len(g) for f, g in shards.items() if f not in todo)
    tqdm.monitor_interval = 0  # its thread would be copied into the workers
    bar = tqdm(total=len(sources), initial=done, desc=f"prepare {name}", unit=" files", disable=not progress)
    processes = ProcessPoolExecutor(
        max(1, min(workers, len(todo))), multiprocessing.get_context("fork"), initializer=end_with_parent
    )
    with bar, processes as pool:
        running = {pool.submit(convert, name, group, out / f): len(group) for f, group in todo.items()}
        try:
            for future in as_completed(running):
                future.result()
                bar.update(running[future])
        except BrokenProcessPool:
            raise OSError(
                f"{out}: a worker was killed, perhaps for want of memory; what is done is kept: run it again, with "
                "fewer --workers"
            ) from None
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    entries, actions, seconds, licences = [], Counter(), 0.0, set()
    for folder in shards:
        try:
            content = json.loads((out / folder / "shard.json").read_text())
        except ValueError as e:
            raise ValueError(f"{out / folder}: damaged ({e}): delete it and run training.data.prepare again") from None
        clips = content["clips"]
        entries.append(
            {
                "folder": folder,
                "clips": len(clips),
                "frames": sum(c["frames"] for c in clips),
                "files": content["files"],
                "sources": content["sources"],
            }
        )
        actions.update(c["action"] for c in clips)
        seconds += sum((c["frames"] - 1) / c["rate_hz"] for c in clips)
        licences.update((c["source"], c["licence"]) for c in clips)
    for stale in out.glob("shard-*"):
        if stale.name not in shards:
            shutil.rmtree(stale)
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "dataset": name,
        "loaders": loaders_key(),
        "clips": sum(e["clips"] for e in entries),
        "frames": sum(e["frames"] for e in entries),
        "minutes": round(seconds / 60, 2),
        "actions": dict(sorted(actions.items())),
        "licences": [{"source": s, "licence": t} for s, t in sorted(licences)],
        "shards": entries,
    }
    write_json(out / "manifest.json", manifest)
    return manifest


def main(
    name: Annotated[str, typer.Option("--dataset", help=f"one of {', '.join(DATASETS)}")],
    data: Annotated[Path, typer.Option(help="folder of the data set")],
    out: Annotated[Path, typer.Option(help="folder for the shards and manifest.json")],
    workers: Annotated[int, typer.Option(min=1, help="processes")] = os.cpu_count() or 1,
    partial: Annotated[bool, typer.Option(help="take what is there of an incomplete data set")] = False,
    skeletons: Annotated[Path | None, typer.Option(help="skeletons.json, where it is not in --data")] = None,
    body_model: Annotated[Path | None, typer.Option(help="AMASS: SMPL-H or SMPL-X model, npz or folder")] = None,
    topic: Annotated[str | None, typer.Option(help="bags with several skeleton topics: which")] = None,
) -> None:
    """Convert a data set once into memory-mapped shards."""
    with guard("training.data.prepare"):
        manifest = prepare(name, data, out, Options(partial, skeletons, body_model, topic), workers)
    print(f"{out}: {manifest['clips']} clips, {manifest['minutes']} minutes in {len(manifest['shards'])} shards")
    for entry in manifest["licences"]:
        print(f"  {entry['source']}: {entry['licence']}")


if __name__ == "__main__":
    typer.run(main)
