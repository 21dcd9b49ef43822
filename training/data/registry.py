# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Every data set by name, behind one interface."""

from __future__ import annotations

from pathlib import Path

from training.data import amass, bvh, cmu, folder, h36m, threedpw
from training.data.archives import ARCHIVES, unpack
from training.data.clip import Clip
from training.data.sources import DataSet, Options, Source, existing, skeletons_file, some

_TEXT_LAYOUT = "cmu_mocap/{train,test}/<action>/<action>_<n>.txt and skeletons.json, or the archives"
_ASF_LAYOUT = "subjects/<nn>/<nn>.asf and <nn>_<trial>.amc, or the archives"


def _unpacked(root: Path, layout: str) -> Path:
    """The folder itself, or where its archives are unpacked."""
    return unpack(root) if any((root / name).is_file() for name in ARCHIVES) else existing(root, layout)


def _find_text(root: Path, options: Options) -> list[Source]:
    root = _unpacked(root, _TEXT_LAYOUT)
    base = root / "cmu_mocap" if (root / "cmu_mocap").is_dir() else root
    lacking = [s for s in ("train", "test") if not any((base / s).glob("*/*.txt"))]
    if lacking and not options.partial:
        raise ValueError(f"{base}: no text files in {', '.join(lacking)}; expected {_TEXT_LAYOUT}: extract it again")
    skeletons = skeletons_file(root, options)
    files = [p for s in ("train", "test") for p in (base / s).glob("*/*.txt")]
    return some(
        [Source(p.relative_to(base).with_suffix("").as_posix(), p, (skeletons,)) for p in files], root, _TEXT_LAYOUT
    )


def _load_text(source: Source) -> list[Clip]:
    action = source.path.parent.name
    skeleton = cmu.load_skeleton(source.needs[0])
    group, action = f"cmu_text_{action}", "walking" if action == "walking_extra" else action
    return [cmu.load_expmap_text(source.path, skeleton, source.name, group, action)]


def _find_asf(root: Path, options: Options) -> list[Source]:
    root = _unpacked(root, _ASF_LAYOUT)
    sources = []
    for path in root.rglob("*.amc"):
        asf = path.with_name(f"{path.stem.split('_')[0]}.asf")
        if not asf.is_file():
            raise FileNotFoundError(f"{asf}: the skeleton of {path.name} is missing; expected {_ASF_LAYOUT}")
        sources.append(Source(path.stem, path, (asf,)))
    return some(sources, root, _ASF_LAYOUT)


def _load_asf(source: Source) -> list[Clip]:
    subject = source.name.split("_")[0]
    action = cmu.TRIALS.get(subject, {}).get(source.name, "motion")
    return [cmu.load_asf_amc(source.needs[0], source.path, source.name, f"cmu_{subject}", action)]


DATASETS: dict[str, DataSet] = {
    "cmu": DataSet(_find_text, _load_text, _TEXT_LAYOUT),
    "cmu_asfamc": DataSet(_find_asf, _load_asf, _ASF_LAYOUT),
    "h36m": DataSet(h36m.find, h36m.load, h36m.LAYOUT),
    "3dpw": DataSet(threedpw.find, threedpw.load, threedpw.LAYOUT),
    "amass": DataSet(amass.find, amass.load, amass.LAYOUT),
    "bvh": DataSet(bvh.find, bvh.load, bvh.LAYOUT),
    "folder": DataSet(folder.find, folder.load, folder.LAYOUT),
}


def dataset(name: str) -> DataSet:
    """A data set by name; ValueError lists those there are."""
    if name not in DATASETS:
        raise ValueError(f"data set {name!r}: expected one of {', '.join(DATASETS)}")
    return DATASETS[name]
