"""Many styles in one ONNX file, proved equal to the network with each of them."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path

import onnx
import torch
from torch import Tensor
from torch.func import functional_call

from fast_style.export.to_onnx import export_onnx
from fast_style.export.verify import Verification, difference, judge
from fast_style.export.writing import write_model
from fast_style.files import replacing
from fast_style.images.arrays import example_image
from fast_style.model.opening import INPUT, OUTPUT
from fast_style.model.session import open_session
from fast_style.model.table import STYLES, give_styles
from fast_style.networks import StyleSets, TransformerNetwork, take_style


def export_styles(
    network: TransformerNetwork, sets: Mapping[str, Tensor], path: str | Path, *, metadata: Mapping[str, str]
) -> Verification:
    """Write one ONNX file of several styles and prove it equal to the network; no file is left if the proof fails.

    The graph takes ``image`` as of :func:`export_onnx`, and ``styles`` (N or 1, K), whose default is the first style.

    Args:
        network: What the styles share; it is left as it is.
        sets: Each style's scales and shifts, (2, C), by its name.
        path: Where to write.
        metadata: As of :func:`export_onnx`.

    Returns:
        The differences, by shape and graph variant of the first style, and by style.

    Raises:
        ExportError, VerificationError, FileError: As :func:`export_onnx`.
    """
    network = deepcopy(network)
    values = {name: tensor.detach().cpu() for name, tensor in sets.items()}
    module = StyleSets(network, tuple(values))
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
    """Compare a file of several styles with its network: each style, a mixture, and the default.

    Returns:
        Largest absolute differences by what was compared.

    Raises:
        VerificationError: It gives a picture of another shape.
    """
    session, network = open_session(path), deepcopy(network).eval()
    image = torch.from_numpy(example_image(2, 40, 56))
    count = len(sets.names)
    differences = {}
    cases = dict(zip(sets.names, torch.eye(count), strict=True))
    for what, weights in {**cases, "mixture": torch.full((count,), 1.0 / count)}.items():
        feeds = {INPUT: image.numpy(), STYLES: weights[None].numpy()}
        differences[what] = difference(session.run([OUTPUT], feeds)[0], functional_call(network, sets(weights), image))
    default = session.run([OUTPUT], {INPUT: image.numpy()})[0]
    differences["default"] = difference(default, functional_call(network, sets.one(0), image))
    return differences
