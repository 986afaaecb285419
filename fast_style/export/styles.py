"""Many styles, or one with a strength, in one ONNX file, proved equal to the network with each of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor

from fast_style.export.to_onnx import export_onnx
from fast_style.export.verify import Verification, difference, judge
from fast_style.export.writing import write_model
from fast_style.files import replacing
from fast_style.model import INPUT, OUTPUT, STRENGTH, STYLES, give_styles, open_session
from fast_style.networks import Condition, StyleSets, TransformerNetwork, take_style

# Where a strength was learned, the ends of its range are compared as well.
_STRENGTHS = (0.25, 1.0, 4.0)


def export_styles(
    network: TransformerNetwork, sets: Mapping[str, Tensor], path: str | Path, *, metadata: Mapping[str, str]
) -> Verification:
    """Write one ONNX file of several styles and prove it equal to the network; no file is left if the proof fails.

    The graph takes ``image`` as of :func:`export_onnx`, and ``styles`` (N or 1, K) and ``strength`` (N or 1, 1), which
    have defaults inside: the first style, at strength 1.

    Args:
        network: What the styles share.
        sets: Each style's scales and shifts, (1 or 3, 2, C), by its name.
        path: Where to write.
        metadata: As of :func:`export_onnx`.

    Returns:
        The differences, by shape and graph variant of the first style, and by style and strength.

    Raises:
        ExportError, VerificationError, FileError: As :func:`export_onnx`.
    """
    values = {name: tensor.detach().cpu().clone() for name, tensor in sets.items()}
    for tensor in values.values():  # what the file holds in half the size
        tensor[1:] = tensor[1:].half().float()
    module = StyleSets(network, tuple(values), powers=len(next(iter(values.values()))))
    for parameter, tensor in zip(module.values, values.values(), strict=True):
        parameter.data.copy_(tensor)
    take_style(network, next(iter(values.values())))
    with replacing(Path(path)) as partial:
        plain = export_onnx(network, partial, metadata=metadata)
        content = give_styles(partial.read_bytes(), {name: tensor.numpy() for name, tensor in values.items()})
        write_model(onnx.load_model_from_string(content), partial)
        differences = verify_styles(network, module, partial)
    return judge({**plain.differences, **differences})


@torch.no_grad()
def verify_styles(network: TransformerNetwork, sets: StyleSets, path: Path) -> dict[str, float]:
    """Compare a file of several styles with its network: each style, each strength, a mixture, and the defaults.

    Returns:
        Largest absolute differences by what was compared.

    Raises:
        VerificationError: It gives a picture of another shape.
    """
    session, network = open_session(path), network.eval()
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 40, 56, generator=generator)
    image[..., :28] = torch.linspace(0, 1, 40)[:, None]
    count = len(sets.names)
    even = torch.full((1, count), 1.0 / count)
    strengths = _STRENGTHS if len(sets.values[0]) == 3 else (1.0,)
    cases = {
        f"{name} at {strength:g}": (torch.eye(count)[style : style + 1], strength)
        for style, name in enumerate(sets.names)
        for strength in strengths
    }
    differences = {}
    for what, (weights, strength) in {**cases, "mixture": (even, strengths[-1])}.items():
        told = Condition(affines=sets(weights, torch.full((1, 1), strength)))
        feeds = {INPUT: image.numpy(), STYLES: weights.numpy()}
        if len(strengths) > 1:
            feeds[STRENGTH] = np.full((1, 1), strength, np.float32)
        differences[what] = difference(session.run([OUTPUT], feeds)[0], network(image, told))
    told = Condition(affines=sets.one(0))
    differences["defaults"] = difference(session.run([OUTPUT], {INPUT: image.numpy()})[0], network(image, told))
    return differences
