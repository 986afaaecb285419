"""Half and 8-bit versions of an exported graph."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from fast_style.errors import ExportError
from fast_style.model.cost import measure_cost
from fast_style.model.opening import Feed
from fast_style.model.session import open_session

Precision = Literal["fp32", "fp16", "int8"]
Image = NDArray[np.float32]  # (N, 3, H, W), RGB in [0, 1]

# Smallest peak signal-to-noise ratio against float32 on any held-out photo, dB.
SMALLEST_PSNR: dict[Precision, float] = {"fp16": 50.0, "int8": 30.0}

# Convolution outputs are brought to this magnitude: 512 times below where half precision overflows (65504).
_HALF_PEAK = 128.0
# Values of each tensor kept from each photo when looking for its 8-bit range.
_SAMPLES = 4096
# Shares of the full range tried as the 8-bit range: outliers are clipped where that serves the rest.
_CLIPS = np.linspace(0.3, 1.0, 36)


def to_fp16(model: onnx.ModelProto, photos: Sequence[Feed]) -> onnx.ModelProto:
    """Return a copy that computes in half precision, but for instance normalization and the float32 ends.

    Normalization undoes any scale of the convolution before it, so each of those is first multiplied by the
    power of two that brings its outputs on ``photos`` well inside half precision's range. That is exact: epsilon
    is multiplied by its square.

    Args:
        model: A float32 graph as ``export_onnx`` writes it; it is not changed.
        photos: Inputs of the graph.
    """
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

    rescaled = deepcopy(model)
    _rescale_before_normalization(rescaled, photos)
    half: onnx.ModelProto = convert_float_to_float16(
        rescaled, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, "InstanceNormalization"]
    )
    del half.graph.value_info[:]
    ONNXModel(half).topological_sort()
    return half


def to_int8(
    model: onnx.ModelProto, photos: Sequence[Feed], *, accept: Callable[[onnx.ModelProto], bool]
) -> tuple[onnx.ModelProto, list[str], float]:
    """Return a copy whose convolutions are 8-bit, but for those that cost the most quality for the least work.

    Static quantization: uint8 activations with ranges found on ``photos``, int8 weights with a scale for each
    output channel. Each convolution is first made 8-bit alone and its error measured; then all are, and the one
    with the largest error for its multiplications goes back to float until ``accept`` is content.

    Args:
        model: A float32 graph as ``export_onnx`` writes it; it is not changed.
        photos: Inputs of the graph, to find the ranges on.
        accept: Whether a candidate is good enough.

    Returns:
        The graph; the names of the convolutions that stay float32; and the share of the convolutions' multiplications
        that are 8-bit. Transposed ones stay in float and do not count: in our networks 3 % of all.

    Raises:
        ExportError: No convolution can be 8-bit within what ``accept`` demands.
    """
    convolutions = [node.name for node in model.graph.node if node.op_type == "Conv"]
    ranges = {name: _best_range(values) for name, values in _sample(model, photos).items()}
    nodes = measure_cost(model.SerializeToString(), photos[0])
    work = {node.name: node.multiplications for node in nodes if node.operator == "Conv"}
    expected = run(model, photos[:2])
    regret: dict[str, float] = {}
    for name in convolutions:
        pictures = run(_quantize(model, ranges, [name]), photos[:2])
        error = sum(float(np.square(a - b).mean()) for a, b in zip(pictures, expected, strict=True))
        regret[name] = error / work[name]
    quantized = sorted(convolutions, key=regret.__getitem__)
    while quantized:
        candidate = _quantize(model, ranges, quantized)
        if accept(candidate):
            kept = [name for name in convolutions if name not in quantized]
            return candidate, kept, sum(work[name] for name in quantized) / sum(work.values())
        quantized.pop()
    raise ExportError("no convolution of this network can be 8-bit without a visible loss", hint="Use fp16.")


def psnr(pictures: Sequence[NDArray[np.float32]], expected: Sequence[NDArray[np.float32]]) -> float:
    """Peak signal-to-noise ratio of the worst picture, dB; the peak is 1."""
    worst = max(float(np.square(a - b).mean()) for a, b in zip(pictures, expected, strict=True))
    return -10 * math.log10(max(worst, 1e-12)) if math.isfinite(worst) else -math.inf


def run(model: onnx.ModelProto, photos: Iterable[Feed]) -> list[NDArray[np.float32]]:
    """Run a graph of one output on the CPU, once for each photo."""
    session = open_session(model.SerializeToString())
    return [session.run(None, photo)[0] for photo in photos]


def _rescale_before_normalization(model: onnx.ModelProto, photos: Sequence[Feed]) -> None:
    graph = model.graph
    makers = {output: node for node in graph.node for output in node.output}
    uses = Counter(name for node in graph.node for name in node.input)
    weights = {tensor.name: tensor for tensor in graph.initializer}
    pairs = [
        (maker, node)
        for node in graph.node
        if node.op_type == "InstanceNormalization"
        and (maker := _convolution_before(node.input[0], makers, uses)) is not None
        and all(uses[name] == 1 and name in weights for name in maker.input[1:])
    ]
    samples = _sample(model, photos)
    for convolution, normalization in pairs:
        peak = float(np.abs(samples[convolution.output[0]]).max())
        factor = 2.0 ** math.floor(math.log2(_HALF_PEAK / max(peak, 1e-6)))
        for name in convolution.input[1:]:
            scaled = numpy_helper.to_array(weights[name]) * np.float32(factor)
            weights[name].CopyFrom(numpy_helper.from_array(scaled, name))
        epsilon = next(attribute for attribute in normalization.attribute if attribute.name == "epsilon")
        epsilon.f *= factor**2


def _convolution_before(
    name: str, makers: Mapping[str, onnx.NodeProto], uses: Mapping[str, int]
) -> onnx.NodeProto | None:
    """The convolution whose output alone, in another shape where there are many styles, is what is named."""
    maker = makers.get(name)
    if maker is None or uses[name] != 1:
        return None
    if maker.op_type == "Reshape":
        return _convolution_before(maker.input[0], makers, uses)
    return maker if maker.op_type == "Conv" else None


def _sample(model: onnx.ModelProto, photos: Sequence[Feed]) -> dict[str, NDArray[np.float32]]:
    """Draw values of every convolution's input and output on the photos, and take the smallest and the largest."""
    graph = model.graph
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    names = list(dict.fromkeys(name for node in convolutions for name in (node.input[0], node.output[0])))
    watched = deepcopy(model)
    present = {value.name for value in (*graph.input, *graph.output)}
    watched.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names if name not in present
    )
    session = open_session(watched.SerializeToString())
    random = np.random.default_rng(0)
    samples: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for photo in photos:
        tensors = {**photo, **dict(zip(names, session.run(names, photo), strict=True))}
        for name in names:
            flat = tensors[name].ravel()
            samples[name] += [random.choice(flat, _SAMPLES), np.array([flat.min(), flat.max()])]
    return {name: np.concatenate(values) for name, values in samples.items()}


def _best_range(values: NDArray[np.float32]) -> tuple[float, float]:
    """Find the uint8 range of least squared error: the whole one, or with both ends drawn in by the same share."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 1e-6)
    errors = []
    for clip in _CLIPS:
        step = (high - low) * clip / 255
        zero = round(-low * clip / step)
        codes = np.clip(np.round(values / step) + zero, 0, 255)
        errors.append(float(np.square((codes - zero) * step - values).mean()))
    clip = float(_CLIPS[int(np.argmin(errors))])
    return low * clip, high * clip


def _quantize(
    model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]], names: Sequence[str]
) -> onnx.ModelProto:
    """Make the named convolutions 8-bit, with ONNX Runtime's own quantizer."""
    from onnxruntime.quantization import CalibrationMethod, QuantType
    from onnxruntime.quantization.calibrate import TensorData, TensorsData
    from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

    tensors = {
        name: TensorData(lowest=np.float32(low), highest=np.float32(high)) for name, (low, high) in ranges.items()
    }
    quantizer = QDQQuantizer(
        deepcopy(model),
        True,
        False,
        QuantType.QInt8,
        QuantType.QUInt8,
        TensorsData(CalibrationMethod.MinMax, tensors),
        list(names),
        [],
        ["Conv"],
        {"WeightSymmetric": True, "ActivationSymmetric": False},
    )
    quantizer.quantize_model()
    quantizer.model.topological_sort()
    quantized: onnx.ModelProto = quantizer.model.model
    return quantized
