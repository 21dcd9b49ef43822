# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Write MODEL_CARD.md beside an artefact from its model.json and validation.json:

python -m training.card --model models/body20_25hz
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

_TEMPLATE = """# {name} {version}

Predicts the 20 joints of `body20` for {horizon_s:.1f} s at {rate:.0f} Hz from {history_s:.1f} s of noisy, partial
history, and recovers the joints that are missing now. {parameters:,} parameters; input and output in metres.{blend}

## Intended use
Anticipating people's motion beside a robot, as one input of a planner that keeps its own safety margin. It is **not** a
certified safety function. {bound}

## Training
Recordings: {data}. Terms: {licence}. Split: `{split}`. {training_note}

## How well it does
{table_note}

| tier | clips | horizon | model mm | best baseline mm | gain % (95 % over clips) |
|---|---|---|---|---|---|
{rows}

Part of the history missing, new subject: how much larger the error is, in percent, on the joints that are judged, and
the error.

| what is missing | 0.04 s | 0.2 s | 0.4 s | 1.0 s | hidden joints, 0.4 s |
|---|---|---|---|---|---|
{robust}

{worse}

## People as robots meet them
By what somebody did in the 0.4 s before (`python -m training.tiers`, mean over clips, 95 % bootstrap interval over
clips): gain in percent on the best of five baselines. Trackers' recordings are judged against the tracker's own joints,
noise included. A phantom step: somebody who stays within 0.15 m is predicted more than 0.25 m away at 1.0 s.

| tier | before | clips | 0.4 s | 1.0 s | phantom steps |
|---|---|---|---|---|---|
{use}

## What it does not know
- The training people are few: {classes}.
  Sitting, kneeling, bent knees, side steps, shifts of weight, turning and carrying are made, not recorded
  (`training/data/work_motions.py`); nobody uses a wheelchair.
- Children and people outside about 1.5 to 2.0 m were not seen; body size was only scaled by 0.85 to 1.15.
- The heading is told from hips and shoulders: a tracker that swaps left and right turns the person round.
- Two people in contact are predicted one by one.

## Motions it never saw, and what to do about them
Sudden or unusual motion (a jump, a punch, repeated squats) is predicted for the first tenths of a second and then with
too much trust; what people who stand do in a second is known to a few percent only. So:

- Judge it on recordings of your own cell before you rely on it; `aux-motion predict BAG` tells its error beside all
  baselines. A horizon at which a baseline wins should not be used, or that baseline chosen as `backend`.
- Train further on such recordings (`docs/own_data.md`): twelve minutes of one person took 6 % off the error at
  0.4 s there.
- Plan with the horizon that you need, not with all of it: most of what is lost is lost after 0.6 s.
- Keep the margin of somebody who may move in any direction at reach speed where the bound is the reach set.
"""


def card(model_dir: Path) -> str:
    """The text of the card; every number is read from the artefact's JSON files."""
    m = json.loads((model_dir / "model.json").read_text())
    v = json.loads((model_dir / "validation.json").read_text())
    rows = []
    for tier, t in v["tiers"].items():
        for h in ("0.4", "1.0"):
            e, g = t["mpjpe_mm"][h], t["gain_percent"][h]
            best = g["best_baseline"]
            rows.append(
                f"| {tier} | {t['clips']} | {h} s | {e['model']:.1f} | {e[best]:.1f} ({best}) "
                f"| {g['gain']:.1f} ({g['low']:.1f} to {g['high']:.1f}) |"
            )
    bad = v["worse_than_baseline_by_5_percent"]
    worse = "No motion class is worse than the best baseline there by more than 5 %, at 0.4 s and 1.0 s."
    if bad:
        listed = "; ".join(
            f"{b['tier']}/{b['class']} at {b['horizon_s']} s ({b['gain_percent']:.1f} % against {b['best_baseline']})"
            for b in bad
        )
        worse = f"**Worse than the best baseline by more than 5 %:** {listed}."
    t = m["training"]
    before = t.get("steps_before", 0)
    note = (
        f"{before + t['steps']} steps of {t['batch']} windows, seed {t['seed']}, on {t.get('device', 'cpu')}"
        f" in {t.get('minutes', 0):.0f} minutes, with `training.train` (`docs/deployed_model.md`)"
        + (f"; it began with {t['began_with']}." if t.get("began_with") else ".")
    )
    use = []
    for tier, of in v.get("use", {}).items():
        for kind, g in {"all": of, "still or hands": of["stays_or_hands"], "body moves": of["before"]["body"]}.items():
            if g["clips"] >= 2:
                cells = ["{} ({} to {})".format(*g[h]["gain_on_best"]) for h in ("0.4", "1.0")]
                steps = of["phantom_steps"]
                steps = {"still or hands": steps["stood_before"], "body moves": steps["moved_before"]}.get(kind, steps)
                phantom = "{percent} % ({low} to {high})".format(**steps) if steps["clips"] else ""
                use.append(f"| {tier} | {kind} | {g['clips']} | {' | '.join(cells)} | {phantom} |")
    robust = [
        f"| {r['what']} | "
        + " | ".join(f"{r['loss_percent'][h]:.1f} ({r['mm'][h]:.0f} mm)" for h in ("0.04", "0.2", "0.4", "1.0"))
        + f" | {str(round(r['hidden_mm']['0.4'])) + ' mm' if 'hidden_mm' in r else ''} |"
        for r in v["robustness"].values()
    ]
    seen = t.get("classes_min", {})
    c = m["calibration"]
    bound = (
        f"Its radii are calibrated at {', '.join(f'{x:g}' for x in c['levels'])} from {c['windows']} windows of "
        f"{c['clips']} clips; `docs/bounds.md` says what that promises and what not."
        if c
        else "It has no calibrated bound: every person carries the reason bit `UNCALIBRATED` and the reach set."
    )
    if (model_dir / "separation.json").is_file():
        bound += (
            " `separation.json` is a bound of its own, calibrated on the distance to a robot (`docs/planners.md`, "
            "`python -m training.fitting.calibrate_separation`)."
        )
    blend = (
        "\nThe network's prediction is blended, joint by joint and along the horizon, with held poses and damped"
        "\nmotion, and gets a scale, one sigma per axis: as fitted on predictions of networks that lacked a third of"
        "\nthe recordings."
        if "scale" in m["outputs"]
        else ""
    )
    return _TEMPLATE.format(
        bound=bound,
        blend=blend,
        classes=", ".join(f"{a.replace('_', ' ')} {x:.1f} min" for a, x in seen.items()) or "see the split",
        name=m["name"],
        version=m["version"],
        horizon_s=m["future_steps"] * m["dt_s"],
        rate=1 / m["dt_s"],
        history_s=m["history_steps"] * m["dt_s"],
        parameters=t["parameters"],
        data=t["data"],
        licence=t["licence"],
        split=t["split"],
        training_note=note,
        table_note=(
            "Mean per-joint position error in the global frame, mean over clips, from `validation.json`, written by "
            "`python -m training.validate --model models/" + m["name"] + " --data ../shared/data`. Subject 02 and "
            "washwindow were never trained on; `seen_group` shows people of the training data and is optimistic."
        ),
        rows="\n".join(rows),
        robust="\n".join(robust),
        worse=worse,
        use="\n".join(use),
    )


def main(
    model: Annotated[Path, typer.Option(help="folder of the artefact")] = Path("models/body20_25hz"),
) -> None:
    """Write the card."""
    try:
        text = card(model)
    except (OSError, KeyError, ValueError) as e:
        raise SystemExit(f"training.card: {model}: run training.export and training.validate first ({e!r})") from None
    (model / "MODEL_CARD.md").write_text(text)
    print(f"written: {model / 'MODEL_CARD.md'}")


if __name__ == "__main__":
    typer.run(main)
