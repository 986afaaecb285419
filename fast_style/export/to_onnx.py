"""Writing a transformer network as ONNX, and proving the file equal to it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.export import Dim

from fast_style.errors import ExportError, VerificationError
from fast_style.export.forms import verify_forms
from fast_style.export.from_onnx import PREFIX
from fast_style.export.writing import write_model
from fast_style.files import replacing
from fast_style.model import INPUT, OUTPUT, PRODUCER, open_session
from fast_style.networks import TransformerNetwork

OPSET = 18
TOLERANCE = 1e-3

# (N, H, W): odd, tiny, wide, tall and a batch of two; none is the size the graph is traced at.
VERIFY_SHAPES = ((1, 97, 131), (1, 16, 17), (1, 64, 400), (1, 233, 40), (2, 120, 90))
_TRACE_SHAPE = (2, 3, 72, 88)
_TRACES: dict[Hashable, onnx.ModelProto] = {}


@dataclass(frozen=True)
class Verification:
    """How far an ONNX file is from its network.

    Attributes:
        differences: Largest absolute difference in [0, 1] by shape, such as ``1x3x97x131``, and by form, as of
            :func:`fast_style.export.forms.verify_forms`.
        tolerance: What was allowed.
    """

    differences: Mapping[str, float]
    tolerance: float

    @property
    def largest(self) -> float:
        """The largest of the differences."""
        return max(self.differences.values())


class _Clamped(nn.Module):
    """What is exported: the network and the clamp to [0, 1] that training leaves out."""

    def __init__(self, network: TransformerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        stylized: Tensor = self.network(image)
        return stylized.clamp(0.0, 1.0)


def export_onnx(
    network: TransformerNetwork,
    path: str | Path,
    *,
    metadata: Mapping[str, str],
    tolerance: float = TOLERANCE,
    size: tuple[int, int] | None = None,
) -> Verification:
    """Write one ONNX file and prove it equal to the network; no file is left if the proof fails.

    The graph takes ``image`` (N, 3, H, W), float32, RGB in [0, 1], any batch and any sides from 16 px, and
    returns ``stylized`` of the same shape, clamped to [0, 1]. Padding and cropping are inside. The forms that take the
    statistics of the whole from outside are proved, too.

    Args:
        network: What to export; it is left in the mode it was in.
        path: Where to write.
        metadata: Stored in the file beside ``producer`` and the contract's own entries.
        tolerance: Largest absolute difference allowed.
        size: (width, height), px, for a graph that takes batches of one of exactly this size and computes no
            sizes, which some runtimes and converters need; None leaves batch and size free.

    Returns:
        The differences found.

    Raises:
        ExportError: The exporter or the ONNX checker refused the network.
        VerificationError: The file differs from the network by more than ``tolerance``.
        FileError: The file cannot be written.
    """
    was_training = network.training
    network = network.eval()
    try:
        model = _graph(network, size)
        contract = {"producer": PRODUCER, "range": "0-1", "layout": "NCHW RGB", "stride": str(network.stride)}
        onnx.helper.set_model_props(model, {**contract, **metadata})
        with replacing(Path(path)) as partial:
            write_model(model, partial)
            shapes = VERIFY_SHAPES if size is None else ((1, size[1], size[0]),)
            verification = verify_onnx(network, partial, shapes=shapes, tolerance=tolerance)
            if size is not None:
                return verification
            return judge(Verification({**verification.differences, **verify_forms(network, partial)}, tolerance))
    finally:
        network.train(was_training)


def verify_onnx(
    network: TransformerNetwork,
    path: str | Path,
    *,
    shapes: Sequence[tuple[int, int, int]] = VERIFY_SHAPES,
    tolerance: float = TOLERANCE,
) -> Verification:
    """Compare an ONNX file with its network on noise and on smooth pictures at several sizes.

    Args:
        network: The original, in eval mode.
        path: The ONNX file.
        shapes: (N, H, W) of each comparison.
        tolerance: Largest absolute difference allowed.

    Raises:
        VerificationError: The difference is larger, or is not a number.
    """
    session = open_session(Path(path))
    generator = torch.Generator().manual_seed(0)
    device = next(network.parameters()).device
    differences: dict[str, float] = {}
    for n, height, width in shapes:
        # Half noise, half gradients: noise alone would hide what happens on a flat sky.
        image = torch.rand(n, 3, height, width, generator=generator)
        image[..., : width // 2] = torch.linspace(0, 1, height)[:, None]
        with torch.no_grad():
            expected = network(image.to(device)).clamp(0.0, 1.0).cpu().numpy()
        (found,) = session.run([OUTPUT], {INPUT: image.numpy()})
        if found.shape != expected.shape:
            raise VerificationError(f"the ONNX file gives {found.shape}, the network {expected.shape}")
        differences[f"{n}x3x{height}x{width}"] = float(np.abs(found - expected).max())
    return judge(Verification(differences, tolerance))


def judge(verification: Verification) -> Verification:
    """Return a verification, or raise VerificationError if a difference is larger than allowed."""
    tolerance = verification.tolerance
    # Written so that a NaN fails.
    if not all(difference <= tolerance for difference in verification.differences.values()):
        raise VerificationError(
            f"the ONNX file differs from the network by up to {verification.largest:.2e}; {tolerance:.0e} is allowed",
            hint="Very large activations do this: train longer, or with a lower learning rate.",
        )
    return verification


def _graph(network: TransformerNetwork, size: tuple[int, int] | None) -> onnx.ModelProto:
    """The network's graph with its weights; networks of one structure share a trace, which takes seconds."""
    if size is not None:  # what depends on weights alone, such as scaled noise, is computed in such a trace
        return _trace(_Clamped(deepcopy(network).cpu()).eval(), size)
    state = network.state_dict()
    structure = (type(network), repr(network), tuple((name, value.shape) for name, value in state.items()))
    if structure not in _TRACES:
        # Weights of its own, so that none are equal and stored as one.
        copy = deepcopy(network).cpu()
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in copy.parameters():
                parameter.normal_(generator=generator)
        _TRACES[structure] = _trace(_Clamped(copy).eval(), None)
    model = onnx.ModelProto()
    model.CopyFrom(_TRACES[structure])
    for tensor in model.graph.initializer:
        if tensor.name.startswith(PREFIX):
            value = state[tensor.name.removeprefix(PREFIX)].cpu().numpy()
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return model


@torch.no_grad()
def _trace(module: _Clamped, size: tuple[int, int] | None) -> onnx.ModelProto:
    shape = _TRACE_SHAPE if size is None else (1, 3, size[1], size[0])
    free = None if size is not None else ({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},)
    try:
        program = torch.onnx.export(
            module,
            (torch.rand(shape),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=free,
            external_data=False,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"PyTorch cannot export the network: {error}") from error
    assert program is not None
    model = program.model_proto
    _tidy(model.graph)
    _name_constants(model.graph, {f"{PREFIX}{name}" for name in module.network.state_dict()})
    _share_equal_constants(model.graph)
    if size is None:
        for value in (*model.graph.input, *model.graph.output):
            for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
                value.type.tensor_type.shape.dim[axis].dim_param = name
    return model


def _tidy(graph: onnx.GraphProto) -> None:
    """Drop the exporter's notes on every node: source lines and tracing records."""
    del graph.value_info[:]
    for holder in (*graph.node, *graph.input, *graph.output, *graph.initializer, graph):
        del holder.metadata_props[:]


def _name_constants(graph: onnx.GraphProto, weights: set[str]) -> None:
    """Take the weights' prefix from buffers that no state dict has, which are part of the structure."""
    names = {
        tensor.name: tensor.name.removeprefix(PREFIX) for tensor in graph.initializer if tensor.name not in weights
    }
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]


def _share_equal_constants(graph: onnx.GraphProto) -> None:
    """Keep one of equal constants, such as the tile of noise that two layers add; weights keep their names."""
    first: dict[tuple[int, tuple[int, ...], bytes], str] = {}
    shared: dict[str, str] = {}
    for tensor in graph.initializer:
        if not tensor.name.startswith(PREFIX):
            key = (tensor.data_type, tuple(tensor.dims), numpy_helper.to_array(tensor).tobytes())
            shared[tensor.name] = first.setdefault(key, tensor.name)
    kept = [tensor for tensor in graph.initializer if shared.get(tensor.name, tensor.name) == tensor.name]
    for node in graph.node:
        node.input[:] = [shared.get(name, name) for name in node.input]
    del graph.initializer[:]
    graph.initializer.extend(kept)
