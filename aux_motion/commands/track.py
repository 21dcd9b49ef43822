# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""`aux-motion track`: people in a video or camera to a topic or into a bag."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

from aux_motion.commands import camera_tracker
from aux_motion.commands.guard import guard
from aux_motion.commands.people_tracker import Settings
from aux_motion.commands.video import TrackerError, Video
from aux_motion_core.camera.geometry import LevelFrame
from aux_motion_core.camera.intrinsics import Camera, load_intrinsics
from aux_motion_core.constants import NS
from aux_motion_core.types import SkeletonFrame

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

TOPIC = "skeletons"


def camera_record(camera: Camera, level: LevelFrame, settings: Settings, video: Video, start_ns: int) -> dict:
    """What an overlay needs to know about a bag's camera, as plain data for the file beside the bag."""
    return {
        "frame_id": settings.frame_id,
        "intrinsics": {
            "width": camera.width,
            "height": camera.height,
            "fx": camera.fx,
            "fy": camera.fy,
            "cx": camera.cx,
            "cy": camera.cy,
            "distortion": list(camera.distortion),
            "source": camera.source,
        },
        "level_from_camera": {
            "rotation": [[round(float(v), 9) for v in row] for row in level.rotation],
            "height_m": round(float(level.height_m), 6),
            "source": level.source,
        },
        "video": {"name": Path(video.source).name, "fps": video.fps, "start_stamp_ns": start_ns},
        "person_height_m": settings.person_height_m,
        "person_height_known": settings.height_known,
    }


@contextmanager
def _topic_sink(topic: str) -> Iterator[Callable[[SkeletonFrame], None]]:
    try:
        import rclpy
        from rclpy.qos import qos_profile_sensor_data

        from aux_motion.nodes.conversion import SkeletonArray, skeleton_message
    except ImportError as error:
        raise TrackerError(
            f"ROS is not here ({error}): source a ROS 2 with aux_motion_msgs, or write a bag with --out"
        ) from None
    rclpy.init(args=[])
    node = rclpy.create_node("aux_motion_tracker")
    publisher = node.create_publisher(SkeletonArray, topic, qos_profile_sensor_data)
    try:

        def send(frame: SkeletonFrame) -> None:
            if not rclpy.ok():
                raise KeyboardInterrupt
            publisher.publish(skeleton_message(frame))

        yield send
        time.sleep(0.2)  # the last message leaves before the publisher does
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


@contextmanager
def _bag_sink(path: Path, topic: str) -> Iterator[Callable[[SkeletonFrame], None]]:
    from aux_motion_core.bags.writer import BagWriter

    with BagWriter(path) as bag:
        yield lambda frame: bag.write(topic, frame, frame.stamp_ns)


def _camera(video: Video, intrinsics: str | None, fov_deg: float | None, say: Callable[[str], None]) -> Camera:
    if intrinsics is not None:
        if fov_deg is not None:
            raise TrackerError("both --intrinsics and --fov-deg are given: expected one of them")
        return load_intrinsics(intrinsics, video.size)
    camera = Camera.from_fov(*video.size, 60.0 if fov_deg is None else fov_deg)
    why = "no --intrinsics given" if fov_deg is not None else "neither --intrinsics nor --fov-deg given"
    say(f"focal length {camera.fx:.0f} px {camera.source} ({why}): distances are in proportion to it")
    return camera


def _settings(frame_id: str, person_height_m: float | None, say: Callable[[str], None]) -> Settings:
    if person_height_m is not None:
        return Settings(frame_id=frame_id, person_height_m=person_height_m, height_known=True)
    settings = Settings(frame_id=frame_id)
    say(f"body height {settings.person_height_m:g} m assumed (no --person-height-m): distances follow it")
    return settings


def _pictures(video: Video, seconds: float | None) -> int | None:
    """How many pictures will be looked at; None: not known."""
    if not video.frames:
        return None
    return video.frames if seconds is None else min(video.frames, round(seconds * video.fps) or video.frames)


def run(
    source: str,
    out: Path | None = None,
    topic: str = TOPIC,
    people: int = 1,
    person_height_m: float | None = None,
    intrinsics: str | None = None,
    fov_deg: float | None = None,
    pitch_deg: float | None = None,
    roll_deg: float = 0.0,
    camera_height_m: float | None = None,
    frame_id: str = "camera_floor",
    seconds: float | None = None,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr),
) -> int:
    """Track a video or camera; see the options of `aux-motion track`.

    Returns:
        Number of messages.

    Raises:
        TrackerError, CameraError, BagError: in one line, what is wrong.
    """
    if out is not None and out.suffix != ".mcap":
        raise TrackerError(f"--out {out}: expected the name of a file that ends in .mcap")
    if not frame_id:
        raise TrackerError("--frame-id is empty: expected the name of the output's frame")
    settings = _settings(frame_id, person_height_m, say)
    video = Video(source, paced=out is None)
    try:
        camera = _camera(video, intrinsics, fov_deg, say)
        up = None if pitch_deg is None else LevelFrame.from_tilt(pitch_deg, roll_deg).rotation[2]
        levels: list[LevelFrame] = []
        start_ns = NS
        sink = _topic_sink(topic) if out is None else _bag_sink(out, topic)
        frames = camera_tracker.track(
            video, camera, settings, people, up, camera_height_m, start_ns, seconds, say, levels.append
        )
        count = people_seen = 0
        with sink as send:
            try:
                for _, frame in tqdm(frames, total=_pictures(video, seconds), unit=" pictures", disable=None):
                    send(frame)
                    count += 1
                    people_seen += bool(frame.person_ids)
            except KeyboardInterrupt:  # the end of a camera; a bag keeps what is in it
                say("stopped")
            if not people_seen:
                raise TrackerError(f"no person could be followed in {count} pictures of {source}")
        if out is not None and levels:
            beside = out.with_suffix(".camera.json")
            record = camera_record(camera, levels[-1], settings, video, start_ns)
            beside.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            say(f"written: {out} ({count} messages, {people_seen} with people on {topic!r}) and {beside.name}")
        return count
    finally:
        video.close()


@app.command()
def track(
    source: Annotated[str, typer.Argument(help="Video file, or the number of a camera.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Write this .mcap bag instead of publishing.")] = None,
    topic: Annotated[str, typer.Option(help="Topic of the skeletons.")] = TOPIC,
    people: Annotated[int, typer.Option(min=1, max=4, help="Most people; each costs one more run.")] = 1,
    person_height_m: Annotated[
        float | None,
        typer.Option(
            min=0.8, max=2.3, help="Body height; distances are in proportion to it; by default 1.7 is assumed."
        ),
    ] = None,
    intrinsics: Annotated[
        str | None, typer.Option(help="fx,fy,cx,cy in pixels, or a YAML or JSON file (ROS calibration too).")
    ] = None,
    fov_deg: Annotated[
        float | None, typer.Option(min=5.0, max=170.0, help="Horizontal field of view, without intrinsics.")
    ] = None,
    pitch_deg: Annotated[
        float | None,
        typer.Option(min=-89.0, max=89.0, help="Camera looks down by this; estimated from people otherwise."),
    ] = None,
    roll_deg: Annotated[
        float, typer.Option(min=-180.0, max=180.0, help="Camera turned clockwise, with --pitch-deg.")
    ] = 0.0,
    camera_height_m: Annotated[
        float | None, typer.Option(help="Camera above the floor; estimated from feet otherwise.")
    ] = None,
    frame_id: Annotated[str, typer.Option(help="Frame of the output: z up, origin below the camera.")] = "camera_floor",
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after this time of the video.")] = None,
) -> None:
    """Track people in a video or camera with MediaPipe: skeletons on a topic, or in a bag with --out."""
    run(
        source,
        out,
        topic,
        people,
        person_height_m,
        intrinsics,
        fov_deg,
        pitch_deg,
        roll_deg,
        camera_height_m,
        frame_id,
        seconds,
        say=lambda line: typer.echo(f"aux-motion track: {line}", err=True),
    )


def main(arguments: list[str] | None = None) -> int:
    """Entry point of `aux-motion track`: its arguments, without the name.

    Returns:
        Exit code.
    """
    try:
        app(args=arguments, prog_name="aux-motion track")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


if __name__ == "__main__":
    guard(lambda: sys.exit(main(sys.argv[1:])), "aux-motion track")
