"""`aux-motion predict`: the node's parameters, frames and predictor on a bag, without DDS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from tqdm import tqdm

from aux_motion.nodes.parameters import NodeParameters, ParameterError, default_model_dir, validate
from aux_motion_core.bags import reader
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation import judge, replay
from aux_motion_core.evaluation.windows import sample_windows
from aux_motion_core.inference import baselines
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor
from aux_motion_core.space.frames import Frames, static_transforms
from aux_motion_core.trackers import adapter_class, own_frame, read_frames
from aux_motion_core.wire.clock import StampClock

_NODE = "aux_motion_predictor"


def baseline_predictors(fixed_frame: str, config: PredictorConfig | None = None) -> dict[str, Predictor]:
    """A predictor with each baseline as its backend, by name."""
    config = config or PredictorConfig()
    return {name: Predictor(baselines.make(name), config, fixed_frame) for name in baselines.BASELINES}


def file_parameters(path: Path) -> dict[str, Any]:
    """The predictor's values in a ROS parameter file.

    Raises:
        ParameterError: no such file, no YAML, or nothing in it for the node.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"cannot read parameter file {path}: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"parameter file {path} is no YAML: {' '.join(str(error).split())}") from None
    values: dict[str, Any] = {}
    for key, section in (content or {}).items() if isinstance(content, dict) else ():
        if key.strip("/").split("/")[-1] in ("**", _NODE) and isinstance(section, dict):
            values.update(section.get("ros__parameters") or {})
    if not values:
        raise ParameterError(f"parameter file {path} has no section {_NODE} (or /**) with ros__parameters")
    return {k: v for k, v in values.items() if k in NodeParameters.model_fields}


def no_frame(bag: Path, errors: list[ValueError]) -> str:
    """Why a bag names no frame to predict in, in one line; `errors`: of the messages that cannot be used."""
    if errors:
        return f"no message of bag {bag} can be used; the first one: {' '.join(str(errors[0]).split())}"
    return (
        f"no message of bag {bag} names the frame of its positions, or nobody is in any of them: the tracker must set "
        "header.frame_id; or name it with input_frames in --params, and record while somebody is seen"
    )


def predict(
    bag: Path,
    out: Path | None = None,
    topic: str | None = None,
    params: Path | None = None,
    values: dict[str, Any] | None = None,
    compare: bool = True,
    progress: bool = True,
    tracker: str | None = None,
    joints: Sequence[str] = (),
) -> replay.Report:
    """Predict a bag with the node's path.

    Args:
        bag: folder or bare file.
        out: `.mcap` to write, or None.
        topic: skeleton topic, where the bag has several.
        params: ROS parameter file.
        values: parameters that win over the file; without `fixed_frame` the bag's own frame is the fixed one.
        compare: judge the baselines too.
        progress: show a bar.
        tracker: one of `adapters.NAMES`; None: the parameters', else told by the topic's type.
        joints: joint list of a tracker whose messages name none.

    Returns:
        What was done; the first source of the verdict is the chosen backend.

    Raises:
        ValueError: one line on what is wrong with bag, model or parameters.
    """
    values = {**(file_parameters(params) if params else {}), **(values or {})}
    tracker = tracker or values.get("tracker")
    joints = list(joints) or [j for j in values.get("tracker_joints", ()) if j]
    total = reader.count_messages(bag, adapter_class(tracker).msgtype if tracker else reader.SKELETONS, topic) or None
    if not values.get("fixed_frame"):
        errors: list[ValueError] = []
        first = read_frames(bag, topic, tracker, joints, on_bad=lambda e: errors or errors.append(e))
        values["fixed_frame"] = own_frame(first)
        if not values["fixed_frame"]:
            raise reader.BagError(no_frame(bag, errors))
    parameters = validate(values)
    folder = parameters.model_dir or str(default_model_dir())
    backend = make_backend(parameters.backend, folder, threads=parameters.threads, windows=sample_windows)
    name = "model" if parameters.backend == "onnx" else parameters.backend
    predictors = {name: Predictor(backend, parameters, parameters.fixed_frame)}
    if compare:
        others = baseline_predictors(parameters.fixed_frame, parameters)
        predictors.update({k: v for k, v in others.items() if k != name})
    frames = Frames(
        parameters.fixed_frame,
        parameters.static_transform_frame,
        parameters.static_transform,
        more=static_transforms(parameters.given("static_transforms")),
        no_tf="the bag has no /tf",
    )
    return replay.predict_bag(
        bag,
        predictors,
        out=out,
        topic=topic,
        tracker=tracker,
        joints=joints,
        frames=frames,
        clock=StampClock(parameters.stamp_source),
        progress=lambda items: tqdm(items, total=total, unit=" messages", disable=not progress or None),
    )


def as_json(report: replay.Report) -> dict[str, Any]:
    """A report as plain values."""
    return {
        "mpjpe_mm": report.verdict.mpjpe_mm,
        "samples": report.verdict.samples,
        "frames_in": report.frames,
        "rejected": dict(report.rejected),
        "predictions": report.predictions,
        "people": sorted(report.people),
        "duration_s": report.duration_s,
        "predictor_s": report.wall_s,
        "counters": report.counters,
    }


def text(report: replay.Report, out: Path | None) -> str:
    """A report as a readable table."""
    each_ms = 1e3 * report.wall_s / max(report.frames, 1)
    lines = [
        judge.error_table(report.verdict),
        "",
        f"{report.frames} messages in {report.duration_s:.1f} s, {len(report.people)} people, "
        f"{report.predictions} predictions, {each_ms:.1f} ms each",
    ]
    lines += [f"rejected {count}: {reason}" for reason, count in report.rejected.most_common()]
    repaired = {k: v for k, v in sorted(report.counters.items()) if v and k != "frames"}
    if repaired:
        lines.append("dropped or repaired: " + ", ".join(f"{k} {v}" for k, v in repaired.items()))
    if out is not None:
        lines.append(f"written: {out} (/skeletons, /predictions)")
    return "\n".join(lines)
