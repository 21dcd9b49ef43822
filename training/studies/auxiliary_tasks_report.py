# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The tables of the study (`training.studies.auxiliary_tasks`) from the cells that are there.

A cell that is not trained yet stays empty.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.data.files import write_atomically
from training.studies.auxiliary_tasks_design import (
    ARMS,
    CHOSEN,
    DATA_SHARES,
    HORIZONS_S,
    JUDGED,
    MASK_RATIOS,
    NOISE_RATIOS,
    PASSES,
    Cell,
    StudyConfig,
    plan,
)

BEGIN, END = (
    "<!-- tables: made by `python -m training.studies.auxiliary_tasks --report` -->",
    "<!-- end of the tables -->",
)
#: conditions of the main tables: column -> condition
COLUMNS = {
    "clean": "clean",
    "20 % missing": "missing 20 %",
    "40 % missing": "missing 40 %",
    "70 % missing": "missing 70 %",
    "four joints": "four joints missing",
    "a leg": "leg missing",
    "an arm": "arm missing",
    "40 % of frames": "40 % of frames missing",
    "COCO-17": "COCO-17 joints",
    "noise 20 mm": "noise 20 mm on 50 %",
    "noise 50 mm": "noise 50 mm on 50 %",
    "noise 100 mm": "noise 100 mm on 50 %",
}
GAPS = [c for c in COLUMNS if c != "clean" and not c.startswith("noise")]
NOISES = [f"noise {mm} mm on {percent} %" for percent in (20, 50, 80) for mm in (20, 50, 100)]
MISSING = [f"missing {p} %" for p in range(10, 80, 10)]


class Results:
    """The cells of a folder, and what they say."""

    def __init__(self, folder: Path) -> None:
        """Raises ValueError when there is no study in the folder."""
        try:
            self.study = StudyConfig.model_validate_json((folder / "study.json").read_text())
        except OSError:
            raise ValueError(
                f"{folder}: expected a study, found none: train its cells first with --data and --out {folder}"
            ) from None
        self.cells = {}
        for cell in plan(self.study.seeds):
            path = folder / f"{cell.name}.json"
            if path.exists():
                self.cells[cell] = json.loads(path.read_text())

    def errors(
        self,
        cell: Cell,
        condition: str,
        what: str = "all",
        horizon_s: float = 0.4,
        tiers: Iterable[str] = JUDGED,
        fill: bool = False,
    ) -> dict[int, np.ndarray]:
        """{seed: (clips,) mm} of a cell under any of the study's seeds; NaN where a clip has nothing to judge."""
        column = 0 if what in ("recovered", "denoised", "input") else HORIZONS_S.index(horizon_s)
        out = {}
        for seed in self.study.seeds:
            done = self.cells.get(replace(cell, seed=seed))
            judged = (done or {}).get("interpolated" if fill else "judged", {})
            rows = [r for t in tiers for r in judged.get(t, {}).get(condition, {}).get(what, [])]
            if rows:
                out[seed] = np.array([np.nan if r[column] is None else r[column] for r in rows])
        return out


def mean(errors: dict[int, np.ndarray]) -> float | None:
    """Mean over clips, then seeds."""
    return round(float(np.mean([np.nanmean(e) for e in errors.values()])), 1) if errors else None


def paired(a: dict[int, np.ndarray], b: dict[int, np.ndarray], rounds: int = 2000) -> dict | None:
    """How much larger a is than b on the same clips and seeds, in percent of b, with its 95 % bootstrap interval.

    Clips and seeds are drawn with replacement, the same for both.
    """
    seeds = [s for s in a if s in b]
    if not seeds:
        return None
    x, y = (np.stack([e[s] for s in seeds]) for e in (a, b))
    keep = np.isfinite(x).all(0) & np.isfinite(y).all(0)
    x, y = x[:, keep], y[:, keep]
    rng = np.random.default_rng(0)
    of = rng.integers(len(seeds), size=(rounds, len(seeds), 1)), rng.integers(x.shape[1], size=(rounds, 1, x.shape[1]))
    ratio = x[of].mean((1, 2)) / y[of].mean((1, 2))
    low, high = np.percentile(100 * (ratio - 1), [2.5, 97.5])
    return {
        "percent": round(float(100 * (x.mean() / y.mean() - 1)), 1),
        "low": round(float(low), 1),
        "high": round(float(high), 1),
        "seeds": len(seeds),
        "clips": int(keep.sum()),
    }


def table(head: list[str], rows: list[list]) -> str:
    """Markdown; None is an empty cell, a `paired` its percent and interval, in bold where it leaves zero out."""

    def text(x) -> str:
        if x is None:
            return ""
        if isinstance(x, dict):
            s = f"{x['percent']:+.1f} ({x['low']:+.1f} to {x['high']:+.1f})"
            return f"**{s}**" if x["low"] > 0 or x["high"] < 0 else s
        if isinstance(x, float):
            return f"{x:.1f}" if abs(x) > 1 else f"{x:.2f}"  # mm, or a cosine
        return str(x)

    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(text(x) for x in line) + " |" for line in lines)


def figures(r: Results) -> dict:
    """All figures by table; {table: {row: {column: value}}}."""
    out: dict = {}
    steps = {a: Cell(a, 0) for a in ARMS}
    passes = {a: Cell(a, 0, equal_passes=a in PASSES) for a in ARMS}

    def line(cell: Cell, columns: dict[str, str] | list[str], *what, **how) -> dict:
        """A row of means: {column: mm} of {column: condition}, and how many seeds there are."""
        columns = columns if isinstance(columns, dict) else dict(zip(columns, columns))
        each = {k: r.errors(cell, c, *what, **how) for k, c in columns.items()}
        return {"seeds": max(map(len, each.values())), **{k: mean(e) for k, e in each.items()}}

    def versus(a: Cell, b: Cell, columns: dict[str, str], fill: bool = False) -> dict:
        """A row of paired differences of a from b; `fill`: b with its gaps interpolated."""
        return {k: paired(r.errors(a, c), r.errors(b, c, fill=fill)) for k, c in columns.items()}

    filled = "clean, gaps interpolated"
    gaps = {k: COLUMNS[k] for k in GAPS}
    for name, arms in (("equal update steps", steps), ("equal forward passes", passes)):
        for horizon_s in (0.4, 1.0):
            out[f"{name}, {horizon_s} s"] = {
                **{a: line(cell, COLUMNS, horizon_s=horizon_s) for a, cell in arms.items()},
                filled: line(arms["clean"], gaps, horizon_s=horizon_s, fill=True),
            }
        pairs = [(a, "clean") for a in ARMS if a != "clean"] + [("both", "augment"), ("both", "detached")]
        out[f"{name}, paired, percent at 0.4 s"] = {
            **{f"{a} against {b}": versus(arms[a], arms[b], COLUMNS) for a, b in pairs},
            **{f"{a} against {filled}": versus(arms[a], arms["clean"], gaps, True) for a in ("both", "augment")},
        }
    hiding = {k: c for k, c in gaps.items() if k != "40 % of frames"}  # at the newest step, that is
    for what in ("seen", "unseen"):
        out[f"{what} joints, 0.4 s"] = {
            **{a: line(steps[a], hiding, what) for a in ARMS},
            filled: line(steps["clean"], hiding, what, fill=True),
        }
    out["joint-frames missing, 0.4 s"] = {
        **{a: line(steps[a], MISSING) for a in ARMS},
        filled: line(steps["clean"], MISSING, fill=True),
    }
    out["noise, 0.4 s"] = {a: line(steps[a], NOISES) for a in ARMS}
    out["recovered past, mm"] = {
        **{a: line(steps[a], gaps, "recovered") for a in ("mask", "both", "past_only", "detached")},
        "interpolated": line(steps["clean"], gaps, "recovered", fill=True),
    }
    out["denoised past, mm"] = {
        **{a: line(steps[a], NOISES, "denoised") for a in ("denoise", "both", "past_only", "detached")},
        "the input": line(steps["both"], NOISES, "input"),
    }
    ratios = {f"{x:.0%}": Cell("mask", 0, mask=x) for x in MASK_RATIOS} | {"30 to 70 %": steps["mask"]}
    some = {k: COLUMNS[k] for k in ("clean", "40 % missing", "70 % missing", "four joints")}
    out["mask ratio, validation clips, 0.4 s"] = {k: line(cell, some, tiers=[CHOSEN]) for k, cell in ratios.items()}
    ratios = {f"{x:.0%}": Cell("denoise", 0, noise=x) for x in NOISE_RATIOS} | {"20 to 60 %": steps["denoise"]}
    some = {k: COLUMNS[k] for k in ("clean", "noise 20 mm", "noise 50 mm", "noise 100 mm")}
    out["noise ratio, validation clips, 0.4 s"] = {k: line(cell, some, tiers=[CHOSEN]) for k, cell in ratios.items()}
    some = {k: COLUMNS[k] for k in ("clean", "40 % missing", "a leg", "COCO-17", "noise 50 mm")}
    shares = {f"{x:.0%}": {a: Cell(a, 0, data=x) for a in ("clean", "augment", "both")} for x in (*DATA_SHARES, 1.0)}
    out["share of the training clips, 0.4 s"] = {
        f"{a}, {share}": line(cell, some) for share, arms in shares.items() for a, cell in arms.items()
    }
    out["share of the training clips, paired, percent at 0.4 s"] = {
        f"both against {b}, {share}": versus(arms["both"], arms[b], some)
        for share, arms in shares.items()
        for b in ("clean", "augment")
    }
    out["masks as trackers leave them, paired, percent at 0.4 s"] = {
        "both, half of the masks structured, against both": versus(
            Cell("both", 0, structured=True), steps["both"], COLUMNS
        )
    }
    done = {a: [r.cells[c] for c in (Cell(a, s) for s in r.study.seeds) if c in r.cells] for a in ARMS}
    history = [d["history"] for d in done["both"]]
    out["gradient cosine over training (both)"] = {
        f"{100 * (i + 1) // len(history[0])} % of the steps": {
            k: round(float(np.mean([h[i][k] for h in history])), 2) for k in history[0][i] if "~" in k
        }
        for i in range(len(history[0]) if history else 0)
    }
    out["error of each layer's head on clean input, mm"] = {}
    for arm, cells in done.items():
        judged = [np.concatenate([np.array(c["judged"][t]["clean"]["layers"]) for t in JUDGED], 1) for c in cells]
        means = np.mean([m.mean(1) for m in judged], 0) if judged else []  # (layers, horizons)
        out["error of each layer's head on clean input, mm"][arm] = {
            f"layer {k + 1}, {h} s": round(float(x), 1) for k, row in enumerate(means) for h, x in zip(HORIZONS_S, row)
        }
    return out


def write_report(folder: Path, doc: Path, json_path: Path) -> None:
    """Put the tables between the marks of `doc`, and all figures with the settings into `json_path`.

    Raises:
        ValueError: no study in the folder, or no place for the tables in the page.
        OSError: the page cannot be read.
    """
    r = Results(folder)
    page = doc.read_text()
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"{doc}: expected the lines {BEGIN!r} and {END!r} once each, around the place of the tables")
    made = figures(r)
    cells = plan(r.study.seeds)
    counts = f"{len(r.cells)} of {len(cells)} trainings are done; seeds {', '.join(map(str, r.study.seeds))}."
    text = [BEGIN, counts]
    for name, rows in made.items():
        columns = list(dict.fromkeys(k for row in rows.values() for k in row))
        columns = columns or ["nothing yet"]
        text += [
            f"### {name[0].upper()}{name[1:]}",
            table(["", *columns], [[k, *map(v.get, columns)] for k, v in rows.items()]),
        ]
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    content = before + "\n\n".join([*text, END]) + after
    write_atomically(doc, lambda f: f.write(content.encode()))
    json_path.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "schema_version": 1,
        "command": "python -m training.studies.auxiliary_tasks --report",
        "settings": r.study.model_dump(mode="json"),
        "horizons_s": list(HORIZONS_S),
        "judged_on": list(JUDGED),
        "arms": ARMS,
        "cells_done": [c.name for c in r.cells],
        "cells_missing": [c.name for c in cells if c not in r.cells],
        "training_minutes": round(sum(c["training_s"] for c in r.cells.values()) / 60, 1),
        "tables": made,
    }
    write_atomically(json_path, lambda f: f.write((json.dumps(report, indent=1) + "\n").encode()))
    print(f"{counts} Written: {doc}, {json_path}")
