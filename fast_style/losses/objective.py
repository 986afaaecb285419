"""What is minimized, as plain values: the layers, their weights, and how the perceptual network is built."""

from dataclasses import dataclass
from typing import Literal, get_args

from fast_style.errors import InputError
from fast_style.losses.vgg import Padding, Pooling

Weighting = Literal["balanced", "classic", "gatys"]


@dataclass(frozen=True)
class Objective:
    """What is minimized: layers, pooling, padding and weights.

    There are three ways to weigh. ``balanced`` divides each term by what unstyled photos score on it, so that one set
    of weights serves every painting, and ``strength`` means the same for all of them::

        content = Σ w · |f − f_photo|² / Var(f_photo)
        style   = Σ w · |G − G_style|² / E_photos |G − G_style|²       (1.0: not styled at all)
        tv      = TV / E_photos TV                                     (1.0: as rough as a photo)

    ``classic`` takes Johnson's normalizations, whose weights must be found for each painting. ``gatys`` takes those of
    Gatys et al., half a sum for content and a quarter for style::

        content = Σ w · ½ Σ (f − f_photo)²            (equation 1)
        style   = Σ w · ¼ Σ (G − G_style)²            (equation 4, with each Gram over its own number of positions)

    Attributes:
        weighting: ``balanced``, ``classic`` or ``gatys``.
        strength: Multiplies all terms of the painting. 1.0 is the default look, 0.5 a hint, 2.0 bold.
        content_layers: Where features are compared with the photo's.
        style_layers: Where Gram matrices are compared.
        style_layer_weights: One for each style layer, divided by their sum. Empty is 1, 2, 3, … if the weighting is
            balanced, since deeper layers hold the strokes and the first ones the grain of the canvas, and equal
            otherwise.
        content_weight: Weight of the content term.
        style_weight: Weight of the style term.
        tv_weight: Weight of the total variation.
        color_weight: Weight of the distance of the colors, wherever they lie; 0 leaves it out, as do those below.
        places_layers: Where each place is compared with the nearest of the painting.
        places_weight: Weight of that.
        similarity_layers: Where the picture's self-similarity is compared with the photo's.
        similarity_weight: Weight of that.
        tone_weight: Weight of what is light and dark in the photo.
        pooling: The perceptual network's pooling.
        padding: Its padding. Zeros look like an edge around every picture; ``replicate`` shows none.

    Raises:
        InputError: A value is out of its range, a layer is named twice, a term of places has a weight but no layer, or
            the number of layer weights does not match.

    Differs from the paper:
        Balanced style layers weigh more the deeper they are. They weigh the same in Gatys et al. 2016, section 3,
        and in Johnson et al. 2016, section 4.1, and in the presets ``gatys`` and ``johnson``.
    """

    weighting: Weighting = "balanced"
    strength: float = 1.0
    content_layers: tuple[str, ...] = ("relu3_3",)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    style_layer_weights: tuple[float, ...] = ()
    content_weight: float = 1.0
    style_weight: float = 12.0
    tv_weight: float = 0.4
    color_weight: float = 0.0
    places_layers: tuple[str, ...] = ("relu2_1", "relu3_1", "relu4_1")
    places_weight: float = 0.0
    similarity_layers: tuple[str, ...] = ("relu3_1", "relu4_1")
    similarity_weight: float = 0.0
    tone_weight: float = 0.0
    pooling: Pooling = "avg"
    padding: Padding = "replicate"

    def __post_init__(self) -> None:
        """Check the weights."""
        for name, value in vars(self).items():
            if (name == "strength" or name.endswith("_weight")) and not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; expected a number from 0 up")
            if name.endswith("_layers") and len(set(value)) < len(value):
                raise InputError(f"{name} names a layer twice: {', '.join(value)}")
        for kind in ("places", "similarity"):
            weight, name = getattr(self, f"{kind}_weight"), f"{kind}_layers"
            if weight and not getattr(self, name):
                raise InputError(
                    f"{kind}_weight is {weight:g}, but {name} names no layer",
                    hint=f"Set {kind}_weight to 0, or name a layer in {name}.",
                )
        for name, choices in (("weighting", Weighting), ("pooling", Pooling), ("padding", Padding)):
            if (value := getattr(self, name)) not in get_args(choices):
                raise InputError(f"{name} is {value!r}; expected {' or '.join(get_args(choices))}")
        weights, layers = self.style_layer_weights, self.style_layers
        if weights and (len(weights) != len(layers) or min(weights) < 0 or sum(weights) <= 0):
            raise InputError(
                f"{len(weights)} style layer weights {weights} for {len(layers)} style layers",
                hint=f"Give one weight from 0 up for each of {', '.join(layers)}, or none.",
            )

    def shares(self, kind: Literal["content", "style", "places", "similarity"]) -> dict[str, float]:
        """Return the weight of each layer of that kind; they sum to one."""
        layers: tuple[str, ...] = getattr(self, f"{kind}_layers")
        weights = self.style_layer_weights if kind == "style" else ()
        if not weights:
            deeper = kind == "style" and self.weighting == "balanced"
            weights = tuple(1.0 + (depth if deeper else 0) for depth in range(len(layers)))
        return {layer: weight / sum(weights) for layer, weight in zip(layers, weights, strict=True)}


# The objective of the real-time networks. All style layers weigh the same: strokes show in relu3_1 to relu5_1. The
# painting is asked for place by place as well as on average, and of the photo it is mainly kept which places are alike
# and which are light: that leaves the strokes free.
BOLD = Objective(
    content_layers=("relu4_2",),
    style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    style_layer_weights=(1.0, 1.0, 1.0, 1.0, 1.0),
    content_weight=0.5,
    style_weight=10.0,
    tv_weight=0.1,
    color_weight=6.0,
    places_weight=2.0,
    similarity_weight=16.0,
    tone_weight=3.0,
)
