"""Reading a network's weights back from an ONNX file that fast-style exported."""

from pathlib import Path

import onnx
import torch

from fast_style.errors import FastStyleError, InputError, ModelError
from fast_style.model.checksum import PRODUCER, read_checked
from fast_style.model.editing import read_metadata
from fast_style.model.table import choose_styles, style_names, takes_styles
from fast_style.networks import TransformerNetwork, restore_network

# The exported graph holds the network as a part called this.
PREFIX = "network."
_HINT = "Give a file that 'fast-style train' or 'fast-style export' wrote, or a .ckpt."


def network_from_onnx(path: str | Path, *, style: str | None = None) -> TransformerNetwork:
    """Rebuild the transformer network of an exported style, by default the first of the file, in eval mode.

    Raises:
        ModelError: The file is unreadable, not ours, paints several styles in passes by itself, or its weights are not
            all there, as in an 8-bit model.
        InputError: It names a network that this version does not have, or holds no such style.
    """
    return read_network(path, style=style)[1]


def read_network(path: str | Path, *, style: str | None = None) -> tuple[str, TransformerNetwork]:
    """Return the name of an exported style's network beside the network; see :func:`network_from_onnx`."""
    path = Path(path)
    content = read_checked(path)
    try:
        model = onnx.load_model_from_string(content)
        metadata = read_metadata(model)
        names = style_names(metadata)
        if style is not None or takes_styles(model.graph):
            model = onnx.load_model_from_string(choose_styles(content, {style or "".join(names[:1]): 1.0}))
    except FastStyleError:
        raise
    except Exception as error:  # protobuf's errors have no common base class
        raise ModelError(f"{path} cannot be read as ONNX: {error}", hint=_HINT) from error
    if metadata.get("producer") != PRODUCER or "network" not in metadata:
        raise ModelError(f"{path} was not exported by fast-style", hint=_HINT)
    try:
        stored = {
            tensor.name.removeprefix(PREFIX): torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()).float()
            for tensor in model.graph.initializer
            if tensor.name.startswith(PREFIX)
        }
        return metadata["network"], restore_network(metadata["network"], stored).eval()
    except InputError:
        raise
    except Exception as error:  # a damaged tensor fails in many ways
        raise ModelError(f"{path} does not hold every weight of {metadata['network']!r}", hint=_HINT) from error
