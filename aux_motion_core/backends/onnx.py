"""onnxruntime on the CPU."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnxruntime as ort

from aux_motion_core.artefact import Artefact, ArtefactError
from aux_motion_core.backends import Answer


class OnnxBackend:
    """The exported model, all people in one batch. See `Backend` for the interface.

    Args:
        artefact: a checked artefact.
        threads: intra-op threads; they do not spin, since other processes share the robot's cores.

    Raises:
        ArtefactError: onnxruntime cannot load the file, or its tensors are not the ones that model.json names.
    """

    def __init__(self, artefact: Artefact, threads: int = 1) -> None:
        self._artefact, self._threads = artefact, threads
        self._session: ort.InferenceSession | None = None
        self.name, self.version = artefact.name, artefact.version
        self.joint_names = tuple(artefact.joint_names)
        self.dt_s = artefact.dt_s
        self.calibration = artefact.calibration
        self.history_steps, self.future_steps = artefact.history_steps, artefact.future_steps
        self.counters: Counter[str] = Counter()
        self.about = {"backend": "onnx", "runtime": f"onnxruntime {ort.__version__}, {threads} threads"}
        self.fell_back = False
        self._outputs = artefact.output_names
        self.open()

    def open(self) -> None:
        """See `Backend.open`."""
        if self._session is not None:
            return
        artefact = self._artefact
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(str(artefact.onnx_file), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's exceptions have no common public base
            raise ArtefactError(
                f"{artefact.onnx_file}: onnxruntime {ort.__version__} cannot load it "
                f"({' '.join(str(error).split())[:200]}); export the model again"
            ) from None
        for kind, tensors, expected in (
            ("input", session.get_inputs(), artefact.inputs),
            ("output", session.get_outputs(), artefact.outputs),
        ):
            got = {t.name: t.shape[1:] for t in tensors}
            want = {n: list(s[1:]) for n, s in expected.items()}
            if got != want:
                raise ArtefactError(
                    f"{artefact.onnx_file}: expected {kind}s {want} (model.json), the file has {got}; export it again"
                )
        self._session = session

    def infer(self, values: np.ndarray, mask: np.ndarray) -> Answer:
        """See `Backend.infer`."""
        future, recovered, *scale = self._session.run(
            self._outputs,
            {"positions": np.ascontiguousarray(values, np.float32), "observed": mask.astype(np.float32)},
        )
        return future, recovered, scale[0] if scale else None

    def close(self) -> None:
        """See `Backend.close`."""
        self._session = None
