"""``fast-style inspect``: a module for each verb, loaded when the verb is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter

from fast_style.cli.app import app

if TYPE_CHECKING:
    from fast_style.inspect import Network

Channels = Annotated[list[int] | None, Parameter(name="--channel")]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]


@Parameter(name="*")
@dataclass(frozen=True)
class Source:
    """The network to inspect.

    Args:
        model: caffe-vgg19, efficientnet-lite0, a VGG's .pth, or a torchvision classifier.
        pooling: Pooling of the VGG: avg or max.
        device: auto, cpu, cuda or mps.
    """

    model: str = "caffe-vgg19"
    pooling: Literal["avg", "max"] = "avg"
    device: DeviceName = "auto"

    def load(self, layers: Sequence[str] = ()) -> Network:
        """Load the network, as deep as the layers need."""
        from fast_style.device import find_device
        from fast_style.inspect import load_network

        return load_network(self.model, layers=layers, pooling=self.pooling, device=find_device(self.device))


VERBS = {
    "features": "Show what each channel of a layer sees in a photo.",
    "maximize": "Make the picture that excites a channel most.",
    "classify": "Name what is in a photo.",
    "gradcam": "Show where in a photo a class is seen.",
    "layers": "List the layers of a network.",
}

inspect = App(
    name="inspect", help="Look inside the perceptual network and torchvision's classifiers.", help_flags=app.help_flags
)
for _verb, _help in VERBS.items():
    inspect.command(f"fast_style.cli.inspect.{_verb}:{_verb}", name=_verb, help=_help)
