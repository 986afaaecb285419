"""Writing a transformer network as ONNX, and proving the file equal to it.

It is traced with random weights, which are then replaced by the network's own, for two reasons:

- The exporter stores equal weights once, under one name, and untrained normalizations are all equal. But files are read
  back, trained further and mixed by the names of their weights, so each weight needs its own.
- Tracing takes 7 to 12 s on one core, and a trace serves every network of one structure. So traces are kept in the
  user's cache.
"""

import contextlib
import hashlib
import sys
from collections.abc import Hashable, Mapping
from copy import deepcopy
from importlib.metadata import version
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from onnx_ir.passes.common import ClearMetadataAndDocStringPass, DeduplicateInitializersPass
from torch import Tensor, nn
from torch.export import Dim

import fast_style
from fast_style import networks
from fast_style.errors import ExportError, FileError, ModelError
from fast_style.export.from_onnx import PREFIX
from fast_style.export.verify import Verification, judge, verify_onnx, verify_variants
from fast_style.export.writing import write_model
from fast_style.files import make_parent, replacing, user_folder
from fast_style.model.checksum import PRODUCER, read_checked
from fast_style.model.editing import parse_model
from fast_style.model.opening import INPUT, OUTPUT
from fast_style.networks import TransformerNetwork

_TRACES: dict[Hashable, onnx.ModelProto] = {}
# How many traces the user's cache keeps: those of other versions of the code are of no use.
_KEPT_TRACES = 40


class _Clamped(nn.Module):
    """What is exported: the network and the clamp to [0, 1] that training leaves out."""

    def __init__(self, network: TransformerNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        stylized: Tensor = self.network(image)
        return stylized.clamp(0.0, 1.0)


def export_onnx(network: TransformerNetwork, path: str | Path, *, metadata: Mapping[str, str]) -> Verification:
    """Write one ONNX file and prove it equal to the network; no file is left if the proof fails.

    The graph takes ``image`` (N, 3, H, W), float32, RGB in [0, 1], any batch and any sides from 16 px, and
    returns ``stylized`` of the same shape, clamped to [0, 1]. Padding and cropping are inside. The graph
    variants that tiles and films use are proved, too.

    Args:
        network: What to export; it is left in the mode it was in.
        path: Where to write.
        metadata: Stored in the file beside ``producer`` and the contract's own entries.

    Raises:
        ExportError: The exporter or the ONNX checker refused the network.
        VerificationError: The file differs from the network by more than 0.001.
        FileError: The file cannot be written.
    """
    was_training = network.training
    network = network.eval()
    try:
        model = _graph(network)
        contract = {"producer": PRODUCER, "range": "0-1", "layout": "NCHW RGB", "stride": str(network.stride)}
        onnx.helper.set_model_props(model, {**contract, **metadata})
        with replacing(Path(path)) as partial:
            write_model(model, partial)
            return judge({**verify_onnx(network, partial).differences, **verify_variants(network, partial)})
    finally:
        network.train(was_training)


def _graph(network: TransformerNetwork) -> onnx.ModelProto:
    """The network's graph with its weights; networks of one structure share a trace."""
    state = network.state_dict()
    structure = (type(network), repr(network), tuple((name, value.shape) for name, value in state.items()))
    if structure not in _TRACES:
        _TRACES[structure] = _find_trace(network, repr(structure))
    model = deepcopy(_TRACES[structure])
    for tensor in model.graph.initializer:
        if tensor.name.startswith(PREFIX):
            values = state[tensor.name.removeprefix(PREFIX)].cpu().numpy()
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model


def _find_trace(network: TransformerNetwork, structure: str) -> onnx.ModelProto:
    """Read a trace from the user's cache, or make it and keep it there."""
    if not type(network).__module__.startswith(networks.__name__):
        return _trace(network)  # a class of the caller's, whose code may change
    # All of the package's code: what a network computes depends on more than its own module.
    sources = sorted(Path(fast_style.__file__).parent.rglob("*.py"))
    made_of = [structure, torch.__version__, version("onnxscript"), *(each.read_text("utf-8") for each in sources)]
    name = hashlib.sha256(repr(made_of).encode()).hexdigest()[:32]
    try:
        path = user_folder("XDG_CACHE_HOME", ".cache") / "traces" / f"{name}.onnx"
    except FileError:
        return _trace(network)
    try:
        return parse_model(read_checked(path))
    except ModelError:  # missing or damaged
        model = _trace(network)
    with contextlib.suppress(FileError):  # then the next run traces again
        make_parent(path)
        with replacing(path) as partial:
            write_model(model, partial)
        _forget_traces(path.parent)
    return model


def _forget_traces(folder: Path) -> None:
    """Keep the newest traces only."""
    with contextlib.suppress(OSError):  # another process removes them, too
        newest = sorted(folder.glob("*.onnx"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in newest[_KEPT_TRACES:]:
            path.unlink()


@torch.no_grad()
def _trace(network: TransformerNetwork) -> onnx.ModelProto:
    network = deepcopy(network).cpu()
    generator = torch.Generator().manual_seed(0)
    for parameter in network.parameters():
        parameter.normal_(generator=generator)
    module = _Clamped(network).eval()
    try:
        program = torch.onnx.export(
            module,
            (torch.rand(2, 3, 72, 88),),  # none of VERIFY_SHAPES
            dynamo=True,
            opset_version=18,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},),
            external_data=False,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(f"PyTorch cannot export the network: {error}") from error
    assert program is not None
    # Buffers that are part of the structure, and in no state dict, lose the weights' prefix.
    weights = {f"{PREFIX}{name}" for name in module.network.state_dict()}
    for name, value in list(program.model.graph.initializers.items()):
        if name not in weights:
            value.name = name.removeprefix(PREFIX)
    # Source lines and tracing records on every node; then equal constants, such as the noise that two layers add.
    ClearMetadataAndDocStringPass()(program.model)
    DeduplicateInitializersPass(size_limit=sys.maxsize)(program.model)
    model = program.model_proto
    del model.graph.value_info[:]
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in ((0, "batch"), (2, "height"), (3, "width")):
            value.type.tensor_type.shape.dim[axis].dim_param = name
    return model
