"""The tables of the study (`training.study`) from the cells that are there; what is not trained yet stays empty."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.study import (
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
from training.train import write_atomically

BEGIN, END = "<!-- tables: made by `python -m training.study --report` -->", "<!-- end of the tables -->"
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
        return f"{x:.1f}" if isinstance(x, float) else str(x)

    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(text(x) for x in line) + " |" for line in lines)


def figures(r: Results) -> dict:
    """All figures by table; {table: {row: {column: value}}}."""
    out: dict = {}
    steps = {a: Cell(a, 0) for a in ARMS}
    passes = {a: Cell(a, 0, equal_passes=a in PASSES) for a in ARMS}
    for name, arms in (("equal update steps", steps), ("equal forward passes", passes)):
        for horizon_s in (0.4, 1.0):
            rows = {
                a: {k: mean(r.errors(cell, c, horizon_s=horizon_s)) for k, c in COLUMNS.items()}
                for a, cell in arms.items()
            }
            rows["clean, gaps interpolated"] = {
                k: mean(r.errors(arms["clean"], c, horizon_s=horizon_s, fill=True)) for k, c in COLUMNS.items()
            }
            out[f"{name}, {horizon_s} s"] = rows
        versus = {
            f"{a} against {b}": {k: paired(r.errors(arms[a], c), r.errors(arms[b], c)) for k, c in COLUMNS.items()}
            for a, b in (
                *((a, "clean") for a in ARMS if a != "clean"),
                ("both", "augment"),
                ("both", "detached"),
                ("past_only", "clean"),
            )
        }
        versus["both against clean, gaps interpolated"] = {
            k: paired(r.errors(arms["both"], c), r.errors(arms["clean"], c, fill=True)) for k, c in COLUMNS.items()
        }
        versus["augment against clean, gaps interpolated"] = {
            k: paired(r.errors(arms["augment"], c), r.errors(arms["clean"], c, fill=True)) for k, c in COLUMNS.items()
        }
        out[f"{name}, paired, percent at 0.4 s"] = versus
    hiding = [k for k in GAPS if k != "40 % of frames"]  # at the newest step, that is
    for what in ("seen", "unseen"):
        out[f"{what} joints, 0.4 s"] = {
            **{a: {k: mean(r.errors(steps[a], COLUMNS[k], what)) for k in hiding} for a in ARMS},
            "clean, gaps interpolated": {
                k: mean(r.errors(steps["clean"], COLUMNS[k], what, fill=True)) for k in hiding
            },
        }
    out["joint-frames missing, 0.4 s"] = {
        **{a: {c: mean(r.errors(steps[a], c)) for c in MISSING} for a in ARMS},
        "clean, gaps interpolated": {c: mean(r.errors(steps["clean"], c, fill=True)) for c in MISSING},
    }
    out["noise, 0.4 s"] = {a: {c: mean(r.errors(steps[a], c)) for c in NOISES} for a in ARMS}
    recovering = ("mask", "both", "past_only", "detached")
    out["recovered past, mm"] = {
        **{a: {k: mean(r.errors(steps[a], COLUMNS[k], "recovered")) for k in GAPS} for a in recovering},
        "interpolated": {k: mean(r.errors(steps["clean"], COLUMNS[k], "recovered", fill=True)) for k in GAPS},
    }
    out["denoised past, mm"] = {
        **{
            a: {c: mean(r.errors(steps[a], c, "denoised")) for c in NOISES}
            for a in ("denoise", "both", "past_only", "detached")
        },
        "the input": {c: mean(r.errors(steps["both"], c, "input")) for c in NOISES},
    }
    sweep = ("clean", "40 % missing", "70 % missing", "four joints")
    out["mask ratio, validation clips, 0.4 s"] = {
        label: {k: mean(r.errors(cell, COLUMNS[k], tiers=[CHOSEN])) for k in sweep}
        for label, cell in {
            **{f"{x:.0%}": Cell("mask", 0, mask=x) for x in MASK_RATIOS},
            "30 to 70 %": steps["mask"],
        }.items()
    }
    sweep = ("clean", "noise 20 mm", "noise 50 mm", "noise 100 mm")
    out["noise ratio, validation clips, 0.4 s"] = {
        label: {k: mean(r.errors(cell, COLUMNS[k], tiers=[CHOSEN])) for k in sweep}
        for label, cell in {
            **{f"{x:.0%}": Cell("denoise", 0, noise=x) for x in NOISE_RATIOS},
            "20 to 60 %": steps["denoise"],
        }.items()
    }
    some = ("clean", "40 % missing", "a leg", "COCO-17", "noise 50 mm")
    out["share of the training clips, 0.4 s"] = {
        f"{a}, {share:.0%}": {k: mean(r.errors(Cell(a, 0, data=share), COLUMNS[k])) for k in some}
        for share in (*DATA_SHARES, 1.0)
        for a in ("clean", "augment", "both")
    }
    out["share of the training clips, paired, percent at 0.4 s"] = {
        f"both against {b}, {share:.0%}": {
            k: paired(r.errors(Cell("both", 0, data=share), COLUMNS[k]), r.errors(Cell(b, 0, data=share), COLUMNS[k]))
            for k in some
        }
        for share in (*DATA_SHARES, 1.0)
        for b in ("clean", "augment")
    }
    out["masks as trackers leave them, paired, percent at 0.4 s"] = {
        "both, half of the masks structured, against both": {
            k: paired(r.errors(Cell("both", 0, structured=True), c), r.errors(steps["both"], c))
            for k, c in COLUMNS.items()
        }
    }
    done = [r.cells[c] for c in (Cell("both", s) for s in r.study.seeds) if c in r.cells]
    pairs = [k for k in (done[0]["history"][-1] if done else {}) if "~" in k]
    out["gradient cosine over training (both)"] = {
        f"{25 * (i + 1)} % of the steps": {
            k: round(float(np.mean([d["history"][i][k] for d in done])), 3) for k in pairs
        }
        for i in range(min((len(d["history"]) for d in done), default=0))
    }
    layers = {}
    for arm in ARMS:
        cells = [r.cells[c] for c in (Cell(arm, s) for s in r.study.seeds) if c in r.cells]
        each = [[x for t in JUDGED for x in zip(*c["judged"][t]["clean"]["layers"])] for c in cells]  # clips, layers
        layers[arm] = {
            f"layer {k + 1}, {h} s": round(float(np.mean([row[k][HORIZONS_S.index(h)] for e in each for row in e])), 1)
            for k in range(len(each[0][0]) if each else 0)
            for h in HORIZONS_S
        }
    out["error of each layer's head on clean input, mm"] = layers
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
        "command": "python -m training.study --report",
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
