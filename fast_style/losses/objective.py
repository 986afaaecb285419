"""What is minimized, as plain values: the layers, the weights and how the perceptual network is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fast_style.errors import InputError
from fast_style.losses.vgg import Padding, Pooling

Weighting = Literal["balanced", "classic", "gatys"]


@dataclass(frozen=True)
class Objective:
    """What is minimized: layers, pooling, padding and weights.

    Three ways to weigh. ``balanced`` measures each term against what unstyled photos score on it, so that one
    set of weights, and the one human number ``strength``, serves every painting::

        content = Σ w · |f − f_photo|² / Var(f_photo)
        style   = Σ w · |G − G_style|² / E_photos |G − G_style|²       (1.0: not styled at all)
        tv      = TV / E_photos TV                                     (1.0: as rough as a photo)

    ``classic`` takes Johnson's normalizations as they are, and needs its weights found for each painting.
    ``gatys`` takes those of Gatys et al., half a sum for content and a quarter for style::

        content = Σ w · ½ Σ (f − f_photo)²            (equation 1)
        style   = Σ w · ¼ Σ (G − G_style)²            (equation 4, with each Gram over its own number of positions)

    Attributes:
        weighting: ``balanced``, ``classic`` or ``gatys``.
        strength: Multiplies the style term. 1.0 is the default look, 0.5 a hint, 2.0 bold.
        content_layers: Where the photo is compared.
        style_layers: Where Gram matrices are compared.
        content_layer_weights: One for each content layer, or empty for equal ones. They are used as shares:
            they are divided by their sum.
        style_layer_weights: The same for the style layers. Empty stands for 1, 2, 3, … if the weighing is balanced,
            since the deeper layers hold the strokes and the first ones the grain of the canvas, and for equal
            ones otherwise.
        content_reduction: 1 compares the photo at full size, 2 at half: forms are freer, at a quarter of the time.
        content_weight: Weight of the content term.
        style_weight: Weight of the style term.
        tv_weight: Weight of the total variation.
        coarse_layers: Where Gram matrices of the picture and the painting at half size are compared: large forms.
        coarse_weight: Weight of that; 0 leaves it out.
        spread_layers: Where the features' means and deviations are compared; empty stands for the style layers.
        spread_weight: Weight of that; it sees what is rare.
        color_weight: Weight of the distance of the colors, whatever lies where.
        pooling: The perceptual network's pooling.
        padding: Its padding. Zeros look like an edge around every picture; ``replicate`` shows none.

    Raises:
        InputError: A weight is negative or not finite, or the number of layer weights does not match.

    Differs from the paper:
        Balanced style layers weigh more the deeper they are. They weigh the same in Gatys et al. 2016, section 3,
        and in Johnson et al. 2016, section 4.1. The presets ``gatys`` and ``johnson`` keep to that.
    """

    weighting: Weighting = "balanced"
    strength: float = 1.0
    content_layers: tuple[str, ...] = ("relu3_3",)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    content_layer_weights: tuple[float, ...] = ()
    style_layer_weights: tuple[float, ...] = ()
    content_reduction: int = 1
    content_weight: float = 1.0
    style_weight: float = 12.0
    tv_weight: float = 0.4
    coarse_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    coarse_weight: float = 0.0
    spread_layers: tuple[str, ...] = ()
    spread_weight: float = 0.0
    color_weight: float = 0.0
    pooling: Pooling = "avg"
    padding: Padding = "replicate"

    def __post_init__(self) -> None:
        """Check the weights."""
        for name in (
            "strength",
            "content_weight",
            "style_weight",
            "tv_weight",
            "coarse_weight",
            "spread_weight",
            "color_weight",
        ):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; expected a number from 0 up")
        if self.content_reduction not in (1, 2, 4):
            raise InputError(f"content_reduction is {self.content_reduction}; expected 1, 2 or 4")
        for kind in ("content", "style"):
            weights: tuple[float, ...] = getattr(self, f"{kind}_layer_weights")
            layers: tuple[str, ...] = getattr(self, f"{kind}_layers")
            if weights and (len(weights) != len(layers) or min(weights) < 0 or sum(weights) <= 0):
                raise InputError(
                    f"{len(weights)} {kind} layer weights {weights} for {len(layers)} {kind} layers",
                    hint=f"Give one weight from 0 up for each of {', '.join(layers)}, or none.",
                )

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer the objective looks at."""
        return tuple(dict.fromkeys(self.content_layers + self.style_layers))

    def shares(self, kind: Literal["content", "style"]) -> dict[str, float]:
        """Weight of each content or style layer; they sum to one."""
        layers: tuple[str, ...] = getattr(self, f"{kind}_layers")
        weights: tuple[float, ...] = getattr(self, f"{kind}_layer_weights")
        if not weights:
            deeper = kind == "style" and self.weighting == "balanced"
            weights = tuple(1.0 + (depth if deeper else 0) for depth in range(len(layers)))
        return {layer: weight / sum(weights) for layer, weight in zip(layers, weights, strict=True)}


# What the real-time networks learn. Every layer looks at full size, since it is at relu3_1 to relu5_1 that bold
# networks are nearer to the painting. Two layers at half the size ask for large forms, the spread and colors for what
# is rare.
BOLD = Objective(
    content_layers=("relu4_2",),
    style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
    style_layer_weights=(1.0, 1.0, 1.0, 1.0, 1.0),
    content_weight=1.0,
    style_weight=10.0,
    tv_weight=0.1,
    coarse_layers=("relu3_1", "relu4_1"),
    coarse_weight=3.0,
    spread_layers=("relu2_1", "relu3_1", "relu4_1"),
    spread_weight=3.0,
    color_weight=4.0,
)
