# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""The demo: a recorded person, predicted live by the node over DDS, judged by what was seen later.

    python -m aux_motion.benchmarks.demo

One process plays the sample bag in real time, a second one is the node, this one records what both say and
evaluates it. All of it on a private domain: a recorded human never reaches a live robot.
"""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from tqdm import tqdm

from aux_motion.commands import processes
from aux_motion.commands.guard import guard
from aux_motion.commands.listener import Listener
from aux_motion.commands.predict import baseline_predictors
from aux_motion_core.bags import reader
from aux_motion_core.bags.definitions import typestore
from aux_motion_core.evaluation import judge, replay
from aux_motion_core.types import MotionPrediction, PredictionBatch, SkeletonFrame
from aux_motion_core.wire.messages import batch_from_message, frame_from_message

_ROOT = Path(__file__).resolve().parents[2]
_QUANTILES = (50, 95, 99)


@dataclass
class DemoRecording:
    """What was received over DDS.

    Attributes:
        frames: (arrival_ns, frame) in order of arrival.
        batches: (arrival_ns, batch) in order of arrival.
        played: messages that the player sent.
    """

    frames: list[tuple[int, SkeletonFrame]]
    batches: list[tuple[int, PredictionBatch]]
    played: int


def sample_bag() -> Path:
    """The bag in samples/ of the checkout.

    Raises:
        BagError: there is none.
    """
    found = sorted((_ROOT / "samples").glob("*.mcap"))
    if not found:
        raise reader.BagError(f"no sample bag in {_ROOT / 'samples'}: name one with --bag")
    return found[0]


def record(bag: Path, topic: str | None, out: Path, model: Path | None, backend: str) -> DemoRecording:
    """Play a bag to the node in real time and listen; see the module.

    Args:
        bag: to play.
        topic: skeleton topic, where the bag has several.
        out: folder of the logs.
        model: model folder; None: the shipped one.
        backend: "onnx" or a baseline.

    Raises:
        LiveError: a process failed.
    """
    _, first = next(reader.read_skeletons(bag, topic, on_bad=lambda error: None), (0, None))
    if first is None:
        raise reader.BagError(f"no message of bag {bag} can be used")
    played = reader.count_messages(bag, reader.SKELETONS, topic)
    play = ["play", str(bag), "--to", "skeletons", "--wait-for", "2", *(["--topic", topic] if topic else [])]
    with processes.predictor_process(first.frame_id, out / "node.log", model, backend) as node:
        with Listener() as recorder:
            limit_s = processes.STARTUP_TIMEOUT_S
            processes.wait(lambda: bool(recorder.predictions), [node], limit_s, "heartbeat of the predictor")
            with processes.Process("aux_motion.cli", play, out / "player.log") as player:
                with tqdm(total=played, unit=" messages", desc="playing", disable=None) as bar:

                    def over() -> bool:
                        bar.update(min(len(recorder.skeletons), played) - bar.n)
                        return player.popen.poll() is not None

                    processes.wait(over, [node, player], 3600.0, "end of the bag")
                player.check()
        node.check()
    frames = []
    store = typestore()
    for arrival_ns, raw in recorder.skeletons:
        try:
            frames.append((arrival_ns, frame_from_message(store.deserialize_cdr(raw, reader.SKELETONS))))
        except ValueError:
            continue  # the node counts it too
    batches = [(arrival_ns, batch_from_message(m)) for arrival_ns, m in recorder.predictions]
    return DemoRecording(frames, batches, played)


def first_predictions(recording: DemoRecording) -> dict[tuple[str, int], tuple[int, MotionPrediction]]:
    """What was first said of each observation: (person id, stamp_ns) -> (arrival_ns, prediction)."""
    found: dict[tuple[str, int], tuple[int, MotionPrediction]] = {}
    for arrival_ns, batch in recording.batches:
        for person in batch.people:
            if person.state in replay.PREDICTED:
                found.setdefault((person.person_id, person.stamp_ns), (arrival_ns, person))
    return found


def _quantiles(values: list[float]) -> dict[str, float | None]:
    found = np.percentile(values, _QUANTILES) if values else [None] * len(_QUANTILES)
    return {f"p{q}": None if v is None else float(v) for q, v in zip(_QUANTILES, found, strict=True)}


def evaluate(recording: DemoRecording) -> dict:
    """Errors of model and baselines against the frames that came later, rates and latencies.

    Returns:
        The summary that is written as JSON.
    """
    said = first_predictions(recording)
    frames = recording.frames
    fixed_frame = frames[0][1].frame_id if frames else "map"
    baselines = baseline_predictors(fixed_frame)
    court = judge.Judge(["model", *baselines])
    for arrival_ns, frame in tqdm(frames, unit=" messages", desc="judging", disable=None):
        court.observe(frame)
        people: dict[str, dict[str, MotionPrediction]] = {
            i: {"model": said[i, frame.stamp_ns][1]} for i in frame.person_ids if (i, frame.stamp_ns) in said
        }
        for name, predictor in baselines.items():
            predictor.add(frame)
            batch = predictor.predict(arrival_ns)
            for person_id, prediction in replay.by_person(batch).items():
                people.setdefault(person_id, {})[name] = prediction
        for predictions in people.values():
            court.predict(predictions, recording.batches[0][1].dt_s)
    verdict = court.verdict()
    latency = [1e-6 * (arrival_ns - stamp_ns) for (_, stamp_ns), (arrival_ns, _) in said.items()]
    span_s = (frames[-1][1].stamp_ns - frames[0][1].stamp_ns) * 1e-9 if len(frames) > 1 else 0.0
    answers = {arrival_ns for arrival_ns, _ in said.values()}  # the others are the heartbeat's
    predicted = {stamp_ns for _, stamp_ns in said}
    last = recording.batches[-1][1]
    return {
        "model": f"{last.model_name} {last.model_version}",
        "mpjpe_mm": verdict.mpjpe_mm,
        "samples": verdict.samples,
        "duration_s": span_s,
        "frames_played": recording.played,
        "frames_in": len(frames),
        "input_rate_hz": (len(frames) - 1) / span_s if span_s > 0 else 0.0,
        "people": sorted({i for _, f in frames for i in f.person_ids}),
        "predictions": len(predicted),
        "messages": len(recording.batches),
        "latency_ms": _quantiles(latency),
        "node_ms": _quantiles([1e3 * b.processing_time_s for t, b in recording.batches if t in answers]),
    }


def report(summary: dict) -> str:
    """The summary as a readable table."""
    verdict = judge.Verdict(summary["mpjpe_mm"], summary["samples"])
    latency, inside = (
        ", ".join("-" if v is None else f"{k} {v:.1f} ms" for k, v in summary[name].items())
        for name in ("latency_ms", "node_ms")
    )
    return "\n".join(
        [
            "",
            judge.error_table(verdict),
            "",
            f"model        {summary['model']}",
            f"input        {summary['frames_in']} of {summary['frames_played']} messages in "
            f"{summary['duration_s']:.1f} s ({summary['input_rate_hz']:.1f} Hz), "
            f"people: {len(summary['people'])}",
            f"predictions  {summary['predictions']} ({summary['messages']} messages with the heartbeat's)",
            f"end to end   {latency} (from the player's stamp to the recorder, over DDS)",
            f"in the node  {inside} (from arrival to publication)",
        ]
    )


def picture(recording: DemoRecording, summary: dict, path: Path, title: str) -> bool:
    """Draw present and predicted skeletons; False where matplotlib is not installed."""
    try:
        from aux_motion.commands import plots
    except ImportError:
        return False
    said = {key: person.mean for key, (_, person) in first_predictions(recording).items()}
    people = plots.main_people([f for _, f in recording.frames], said, recording.batches[0][1].dt_s)
    verdict = judge.Verdict(summary["mpjpe_mm"], summary["samples"])
    plots.prediction_picture(path, people, verdict, title)
    return True


def overlay(recording: DemoRecording, bag: Path, topic: str | None, video: Path | None, path: Path) -> str:
    """Draw present and predicted skeletons on pictures of the bag's video.

    Args:
        recording: of the bag.
        bag: whose camera is described beside it.
        topic: skeleton topic, where the bag has several.
        video: its video; None: where `make sample` leaves it.
        path: `.png` to write.

    Returns:
        A line on what was done, or why not.

    Raises:
        ValueError: the video that was named does not fit.
    """
    from aux_motion_core.camera.overlay import OverlayMoment, Scene, picture

    scene = Scene.beside(bag)
    if scene is None:
        return f"no overlay: no {bag.stem}.camera.json beside the bag"
    found = video or _ROOT / "build" / "sample" / scene.video_name
    if not video and not found.is_file():
        return f"no overlay: the video {scene.video_name} is not here (make sample brings it, --video names it)"
    said = {key: person.mean for key, (_, person) in first_predictions(recording).items()}
    first = recording.frames[0][1]
    # the player moved the stamps: the frame with the same content tells by how much
    moved_ns = next(
        first.stamp_ns - f.stamp_ns
        for _, f in reader.read_skeletons(bag, topic, on_bad=lambda error: None)
        if f.person_ids == first.person_ids and np.array_equal(f.positions, first.positions, equal_nan=True)
    )
    frames = [f for _, f in recording.frames if any((i, f.stamp_ns) in said for i in f.person_ids)]
    moments = []
    for frame in (frames[k] for k in np.linspace(0, len(frames) - 1, 8).astype(int)[1:-1]):
        present = {
            i: np.where(s[:, None] > 0, p, np.nan)
            for i, p, s in zip(frame.person_ids, frame.positions, frame.status, strict=True)
        }
        future = {i: said[i, frame.stamp_ns] for i in frame.person_ids if (i, frame.stamp_ns) in said}
        moments.append(OverlayMoment(frame.stamp_ns - moved_ns, present, future))
    try:
        picture(path, found, scene, moments)
    except ValueError as error:
        if video:
            raise
        return f"no overlay: {error}"
    return f"written: {path}"


def demo(
    bag: Annotated[Path | None, typer.Option(help="Bag to play; the sample by default.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the results.")] = Path("build/demo"),
    topic: Annotated[str | None, typer.Option(help="Skeleton topic, where the bag has several.")] = None,
    model: Annotated[Path | None, typer.Option(help="Model folder; the shipped one by default.")] = None,
    backend: Annotated[str, typer.Option(help="onnx (the model) or a baseline.")] = "onnx",
    video: Annotated[Path | None, typer.Option(help="Video of the bag, for an overlay.")] = None,
    view: Annotated[bool, typer.Option("--view", help="Show it afterwards on a page in the browser.")] = False,
) -> None:
    """Play a recorded person to the live node and judge its predictions by what was seen later."""
    domain = processes.private_domain()
    bag = bag or sample_bag()
    out.mkdir(parents=True, exist_ok=True)
    summary_path = out / "summary.json"
    summary_path.unlink(missing_ok=True)
    typer.echo(f"playing {bag.name} to the predictor in real time (private domain {domain}) ...")
    recording = record(bag, topic, out, model, backend)
    if not first_predictions(recording):
        raise processes.LiveError(
            f"nothing was predicted from {len(recording.frames)} messages of {bag}: see {out / 'node.log'}"
        )
    summary = {"bag": bag.name, **evaluate(recording)}
    summary_path.write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    typer.echo(report(summary))
    typer.echo("")
    typer.echo(f"written: {summary_path}")
    path = out / "prediction.png"
    if picture(recording, summary, path, f"{bag.stem}: {summary['model']}, live over DDS"):
        typer.echo(f"written: {path}")
    else:
        typer.echo("no picture: matplotlib is not installed (pip install 'aux_motion[plots]')")
    typer.echo(overlay(recording, bag, topic, video, out / "overlay.png"))
    typer.echo("")
    if not view:
        typer.echo(f"look at it in the browser: {view_command(bag, topic, model, backend)}")
        return
    from aux_motion.commands.view import command

    values = {"backend": backend, **({} if model is None else {"model_dir": str(model)})}
    command.view(bag, {"topic": topic, "values": values}, browser=True, say=typer.echo)


def view_command(bag: Path, topic: str | None, model: Path | None, backend: str) -> str:
    """What to type to look at a bag, from the present folder."""
    program = Path(sys.executable).parent / "aux-motion"
    words: list[str | Path] = [program if program.is_file() else "aux-motion", "view", bag]
    words += ["--topic", topic] if topic else []
    words += ["--model", model] if model is not None else []
    words += ["--backend", backend] if backend != "onnx" else []
    return " ".join(shlex.quote(_from_here(w)) for w in words)


def _from_here(word: str | Path) -> str:
    if isinstance(word, Path) and word.is_absolute() and word.is_relative_to(Path.cwd()):
        return str(word.relative_to(Path.cwd()))
    return str(word)


def main() -> None:
    """Entry point; an error ends in one line and exit code 2."""
    guard(lambda: typer.run(demo), "aux_motion.benchmarks.demo")


if __name__ == "__main__":
    sys.exit(main())
