# Copyright 2026 The aux_motion contributors
# SPDX-License-Identifier: Apache-2.0

"""Judge a recording from Python: every prediction against what the tracker saw later.

python examples/judge_a_bag.py [BAG]
"""

import sys
from pathlib import Path

from aux_motion_core.bags.inputs import read_frames
from aux_motion_core.bags.reader import BagReader
from aux_motion_core.config import PredictorConfig
from aux_motion_core.evaluation.run import evaluate
from aux_motion_core.inference.factory import make_backend
from aux_motion_core.predictor import Predictor

ROOT = Path(__file__).resolve().parents[1]
bag = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "samples" / "sports2d_demo.mcap"
if not bag.exists():
    sys.exit(f"no bag {bag}: expected a folder, .mcap, .db3 or .bag file")

with BagReader(bag) as reader:
    print(f"{bag.name}: topics {', '.join(topic.name for topic in reader.topics)}")
frames = list(read_frames(bag))
predictor = Predictor(make_backend("onnx", ROOT / "models" / "body20_25hz"), PredictorConfig(), frames[0][1].frame_id)
summary = evaluate(frames, predictor).summary()

errors_mm = summary["mpjpe_mm"]
print(f"{'mean error of all joints, mm, after':30}", *(f"{ahead_s:>6} s" for ahead_s in errors_mm))
for source in next(iter(errors_mm.values())):
    print(f"{source:30}     ", *(f"{row[source]:8.1f}" for row in errors_mm.values()))
