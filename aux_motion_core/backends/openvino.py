"""OpenVINO on the CPU (extra `openvino`): for several people on two or more threads, see docs/performance.md."""

from __future__ import annotations

from typing import Any

import numpy as np

from aux_motion_core.artefact import Artefact, ArtefactError
from aux_motion_core.backends import Answer
from aux_motion_core.backends.onnx import OnnxBackend


class OpenVinoBackend(OnnxBackend):
    """The exported model, all people in one batch. See `Backend` for the interface.

    Args:
        artefact: a checked artefact.
        threads: of the inference.

    Raises:
        ArtefactError: OpenVINO is not installed, cannot load the file, or it or its tensors are not the ones that
            model.json names.
    """

    def __init__(self, artefact: Artefact, threads: int = 1) -> None:
        super().__init__(artefact, threads)
        import openvino

        version = openvino.__version__.split("-")[0]
        self.about = {"backend": "openvino", "runtime": f"openvino {version}, {threads} threads"}

    def open(self) -> None:
        """See `Backend.open`."""
        if self._session is not None:
            return
        try:
            import openvino
        except ImportError as error:
            raise ArtefactError(
                f"backend openvino: OpenVINO is not installed ({error}): pip install 'aux_motion[openvino]', or use "
                "the backend onnx"
            ) from None
        self._artefact.check_file()  # it may have changed since `close`
        file = self._artefact.onnx_file
        config = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": self._threads,
            "INFERENCE_PRECISION_HINT": "f32",  # else bf16 where the CPU has it
        }
        try:
            core = openvino.Core()
            model = core.read_model(file)
            session = core.compile_model(model, "CPU", config).create_infer_request()
        except Exception as error:  # OpenVINO's exceptions have no common public base
            raise ArtefactError(
                f"{file}: OpenVINO cannot load it ({' '.join(str(error).split())[:200]}); export the model again"
            ) from None
        for kind, tensors, expected in (
            ("input", model.inputs, self._artefact.inputs),
            ("output", model.outputs, self._artefact.outputs),
        ):
            got = {t.get_any_name(): _shape(t) for t in tensors}
            want = {n: list(s[1:]) for n, s in expected.items()}
            if got != want:
                raise ArtefactError(
                    f"{file}: expected {kind}s {want} (model.json), the file has {got}; export it again"
                )
        self._session = session

    def infer(self, values: np.ndarray, mask: np.ndarray) -> Answer:
        """See `Backend.infer`."""
        given = {"positions": np.ascontiguousarray(values, np.float32), "observed": mask.astype(np.float32)}
        found = self._session.infer(given)
        future, recovered, *scale = (found[name] for name in self._outputs)
        return future, recovered, scale[0] if scale else None


def _shape(tensor: Any) -> list[int]:
    return [d.get_length() if d.is_static else -1 for d in list(tensor.partial_shape)[1:]]
