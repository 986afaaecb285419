"""Writing an exported style in OpenVINO's own format, and proving that equal to the ONNX file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fast_style.errors import ExportError, InputError, ModelError
from fast_style.export.forms import example_picture, judge_copy
from fast_style.export.to_onnx import TOLERANCE, VERIFY_SHAPES, Verification
from fast_style.files import replacing
from fast_style.model import (
    INPUT,
    STRENGTH,
    STRONGEST,
    STYLES,
    WEAKEST,
    Feed,
    Graph,
    first_line,
    open_graph,
    read_checked,
    style_names,
    without_defaults,
)


def write_openvino(style: str | Path, path: str | Path, *, tolerance: float = TOLERANCE) -> Verification:
    """Write a style as OpenVINO's pair of files, ``NAME.xml`` and ``NAME.bin``, proved equal to its ONNX file.

    What the ONNX file says of itself is in the pair's ``rt_info``, under ``fast_style``. A file of several styles must
    be told ``styles`` and ``strength``, which have no defaults in it. No file is left if the proof fails.

    Args:
        style: An ONNX file that fast-style exported, in any precision, of any or of one size.
        path: The ``.xml`` file; the ``.bin`` file is put beside it.
        tolerance: Largest absolute difference allowed; of fp16 and int8, the distance in dB is what counts.

    Returns:
        The largest differences from the ONNX file by shape, and by style.

    Raises:
        InputError: ``path`` does not end in .xml.
        ModelError: It is no style of ours.
        ExportError: OpenVINO cannot take it.
        VerificationError: The difference is larger.
        FileError: The files cannot be written.
    """
    import openvino

    style, path = Path(style), Path(path)
    if path.suffix != ".xml":
        raise InputError(f"{path} does not end in .xml")
    content, graph = read_checked(style), open_graph(style)
    if not graph.ours or graph.signature.picture is None:
        raise ModelError(f"{style} is not a style that fast-style exported")
    core = openvino.Core()
    with tempfile.TemporaryDirectory() as temporary:
        written = Path(temporary) / path.name
        try:
            model = core.read_model(without_defaults(content) if graph.signature.optional else content)
            for key, value in graph.metadata.items():
                model.set_rt_info(value, ["fast_style", key])
            openvino.save_model(model, written, compress_to_fp16=False)
            # Its own choice is bfloat16 where the CPU has it.
            compiled = core.compile_model(written, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            differences = {}
            for what, feed in _feeds(graph):
                (expected,) = graph.session.run(None, feed)
                differences[what] = judge_copy(graph, str(path), compiled(feed)[0], expected, tolerance=tolerance)
        except RuntimeError as error:
            raise ExportError(f"OpenVINO cannot take {style}: {first_line(error)}") from error
        for file in (written.with_suffix(".bin"), written):
            with replacing(path.with_suffix(file.suffix)) as partial:
                partial.write_bytes(file.read_bytes())
    return Verification(differences, tolerance)


def _feeds(graph: Graph) -> Iterator[tuple[str, Feed]]:
    """What both are given to be compared, with what is said of it."""
    shapes = VERIFY_SHAPES if graph.fixed is None else ((1, graph.fixed[1], graph.fixed[0]),)
    names = style_names(graph.metadata) if graph.signature.optional else ()
    able = any(value.name == STRENGTH for value in graph.signature.optional)

    def feed(shape: tuple[int, int, int], weights: NDArray[np.float32], strength: float) -> Feed:
        feeds: Feed = {INPUT: example_picture(graph, shape)}
        if names:
            feeds[STYLES] = weights[None]
        if able:
            feeds[STRENGTH] = np.full((1, 1), strength, np.float32)
        return feeds

    even = np.full(len(names), 1 / max(1, len(names)), np.float32)
    for shape in shapes:
        yield "x".join(map(str, shape)), feed(shape, even, 1.0)
    for name, one in zip(names, np.eye(len(names), dtype=np.float32), strict=True):
        for strength in (WEAKEST, 1.0, STRONGEST) if able else (1.0,):
            yield f"{name} at {strength:g}", feed((1, 40, 56), one, strength)
