# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""What helps on the benchmark: variants of a recipe, judged on held-out training files, never on test.

    python -m training.studies.benchmark_compare --variants training/configs/benchmark_variants.yaml --data \
        ../shared/data \
        --out build/variants --json docs/benchmarks/experiments_cmu.json

One after the other in the order of the file; finished ones are not run again, so a killed run goes on. The table goes
beside the JSON as .md.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
import yaml

from training.commands import guard
from training.data.files import write_atomically
from training.studies.benchmark_data import PROTOCOLS
from training.studies.benchmark_networks import BenchmarkConfig
from training.studies.benchmark_train import train


def read_variants(path: Path) -> dict[str, BenchmarkConfig]:
    """`base`, settings, and `variants`, name -> settings that differ from it; the base itself comes first.

    Raises:
        ValueError: no such file of variants, or one with unknown settings; names it.
    """
    try:
        content = yaml.safe_load(path.read_text())
        base, variants = content["base"], {"base": {}, **content["variants"]}
        return {name: BenchmarkConfig.model_validate({**base, **(v or {})}) for name, v in variants.items()}
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as e:
        raise ValueError(f"{path}: expected `base` and `variants` of a recipe ({' '.join(str(e).split())})") from None


def summary(runs: dict[str, dict]) -> str:
    """Markdown: each variant's error on the held-out files, and its gain over the base."""
    base = runs["base"]["last"]["score_mm"]
    lines = ["| variant | steps | s | " + " | ".join(map(str, runs["base"]["frames"])) + " | mean | gain |"]
    lines.append("|" + " --- |" * (len(runs["base"]["frames"]) + 5))
    for name, r in runs.items():
        figures = r["last"].get("five_actions_mm", r["last"]["average_mm"])
        cells = [name, r["steps"], r["seconds"], *figures, r["last"]["score_mm"]]
        lines.append("| " + " | ".join(map(str, cells)) + f" | {100 * (1 - r['last']['score_mm'] / base):+.1f} % |")
    return "\n".join(lines) + "\n"


def compare(variants: dict[str, BenchmarkConfig], data: Path, out: Path, json_out: Path) -> None:
    """Run what is not there yet, and write what is there after each run."""
    runs: dict[str, dict] = {}
    json_out.parent.mkdir(parents=True, exist_ok=True)
    for name, config in variants.items():
        made = train(config, data, out / name, refit=False)
        runs[name] = {"settings": config.model_dump(exclude_defaults=True), **made}
        runs[name]["frames"] = list(PROTOCOLS[config.dataset].frames)
        text = json.dumps({"judged_on": made["judged_on"], "runs": runs}, indent=1) + "\n"
        write_atomically(json_out, lambda f, text=text: f.write(text.encode()))
        json_out.with_suffix(".md").write_text(summary(runs))


def main(
    variants: Annotated[Path, typer.Option(help="YAML: base and variants")],
    data: Annotated[Path, typer.Option(help="folder with the data set")],
    out: Annotated[Path, typer.Option(help="where runs go")],
    json_out: Annotated[Path, typer.Option("--json", help="where the figures go")],
) -> None:
    """Compare variants of a recipe on held-out training files."""
    with guard("training.studies.benchmark_compare", code=2):
        compare(read_variants(variants), data, out, json_out)
    typer.echo(json_out.with_suffix(".md").read_text())


if __name__ == "__main__":
    typer.run(main)
