"""The perceptual losses: pure functions first, then the one objective that trainer and optimizer share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fast_style.errors import InputError
from fast_style.perceptual.vgg import VGG, Padding, Pooling, layer_stride
from fast_style.perceptual.weights import load_vgg_weights

Weighting = Literal["balanced", "classic", "gatys"]

# Guards a division by the score of raw photos where they happen to score zero: a flat style on flat photos.
_SMALLEST_SCALE = 1e-12


def gram_matrix(features: Tensor) -> Tensor:
    """Correlate the channels of each image over its positions.

    Computed in float32 whatever the autocast.

    Args:
        features: (N, C, H, W).

    Returns:
        (N, C, C), symmetric: F Fᵀ / (C·H·W) with F the features as C rows of H·W values.

    Reference:
        Gatys, Ecker and Bethge 2016, equation 3; normalised as in Johnson, Alahi and Fei-Fei 2016, equation 3.
    """
    with torch.autocast(features.device.type, enabled=False):
        gram: Tensor = _Gram.apply(features)
        return gram


class _Gram(torch.autograd.Function):
    """Autograd would go back through both factors, in float32. They are one: one product, in the features' type."""

    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        ctx.save_for_backward(features)
        rows = features.float().flatten(2)
        return rows @ rows.mT / features[0].numel()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (features,) = ctx.saved_tensors
        # bfloat16 has float32's range; float16 would lose small gradients.
        kind = torch.bfloat16 if features.dtype == torch.bfloat16 else torch.float32
        both = ((grad + grad.mT) / features[0].numel()).to(kind)
        rows = features.to(kind).flatten(2)
        # Whichever product leaves the gradient in the features' memory format.
        back = (rows.mT @ both).mT if rows.stride(1) == 1 else both @ rows
        gradient: Tensor = back.reshape(features.shape).to(features.dtype)
        return gradient


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two activations of the same shape, a float32 scalar.

    Reference:
        Johnson et al. 2016, equation 2.
    """
    return F.mse_loss(features.float(), target.float())


def style_loss(gram: Tensor, target: Tensor) -> Tensor:
    """Squared Frobenius distance of Gram matrices, averaged over the batch, a float32 scalar.

    Args:
        gram: (N, C, C).
        target: (C, C) or (N, C, C).

    Reference:
        Johnson et al. 2016, equation 4. Gatys et al. 2016, equation 4, is a quarter of this.
    """
    return (gram.float() - target.float()).square().sum(dim=(-2, -1)).mean()


def total_variation(image: Tensor) -> Tensor:
    """Mean squared difference of neighbouring pixels, down plus across, a float32 scalar.

    Args:
        image: (N, C, H, W). A side of one pixel has no neighbours and adds nothing.

    Reference:
        Mahendran and Vedaldi 2015, equation 5, with beta = 2.

    Differs from the paper:
        A mean, not a sum, so that the weight does not depend on the size.
    """
    image = image.float()
    zero = image.new_zeros(())
    down = (image[..., 1:, :] - image[..., :-1, :]).square()
    across = (image[..., :, 1:] - image[..., :, :-1]).square()
    return (down.mean() if down.numel() else zero) + (across.mean() if across.numel() else zero)


def pixel_grid(image: Tensor, *, cell: int = 8, window: int = 8) -> Tensor:
    """Strength of a grid with a period of ``cell`` px or a divisor of it, a float32 scalar; 0.0 without one.

    What a network that ends in a pixel shuffle draws too easily: pixels at the same place of every cell agree
    in being brighter or darker than those beside them. So fine detail is averaged by place in the cell, over
    windows of several cells. Strokes cancel there, a grid adds up; its variance over the cell is returned.

    Args:
        image: (N, C, H, W), sides of at least ``cell · window`` px for a windowed result; smaller pictures
            are one window.
        cell: Period, px.
        window: Side of a window, in cells.
    """
    image = image.float()
    # Slow changes, such as a sky's, are no grid: subtract the local mean.
    detail = image - F.avg_pool2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    height, width = image.shape[-2] // cell * cell, image.shape[-1] // cell * cell
    places = F.pixel_unshuffle(detail[..., :height, :width], cell)
    window = min(window, *places.shape[-2:])
    means = F.avg_pool2d(places, window, stride=max(1, window // 2))
    return means.reshape(image.shape[0], image.shape[1], cell * cell, -1).var(dim=2, correction=0).mean()


def lattice(features: Tensor, *, cell: int) -> Tensor:
    """How far a layer's mean response depends on the place within a cell, a float32 scalar; 0.0 where it does not.

    What :func:`pixel_grid` does not see: a dot or stroke at the same place of every cell. If some are dark, some
    light, some missing, they cancel in a mean of pixels, but not in one of features, which answer to any edge or dot.
    A photo or a painting scores what chance leaves, about one over the number of cells.

    Args:
        features: (N, C, H, W) activations, sides of at least ``cell``.
        cell: Its side, in positions of this layer.

    Returns:
        The variance over the places of a cell of each channel's mean over all cells, as a share of the channel's
        variance; the mean of the channels and pictures.
    """
    rows, columns = features.shape[-2] // cell, features.shape[-1] // cell
    # Channels last, as they lie in memory in training, and one axis at a time: a quarter of the time.
    positions = features[..., : rows * cell, : columns * cell].permute(0, 2, 3, 1)
    cells = positions.view(len(positions), rows, cell, columns, cell, -1)
    means = cells.mean(dim=1, dtype=torch.float32).mean(dim=2)
    squares = torch.linalg.vector_norm(positions.detach().flatten(1, 2), dim=1, dtype=torch.float32).square()
    variance = squares / (rows * columns * cell**2) - means.detach().mean(dim=(1, 2)).square()
    variance = variance.clamp(min=0.0)  # rounded, a constant's could be negative
    # Some channels hardly ever respond.
    share: Tensor = means.var(dim=(1, 2), correction=0) / (variance + 0.01 * variance.mean(dim=1, keepdim=True))
    return share.mean()


@dataclass(frozen=True)
class Objective:
    """What is minimised: layers, pooling, padding and weights.

    Three ways to weigh. ``balanced`` measures each term against what unstyled photos score on it, so that one
    set of weights, and the one human number ``strength``, serves every painting::

        content = Σ w · |f − f_photo|² / Var(f_photo)
        style   = Σ w · |G − G_style|² / E_photos |G − G_style|²       (1.0: not styled at all)
        tv      = TV / E_photos TV                                     (1.0: as rough as a photo)

    ``classic`` takes Johnson's normalisations as they are, and needs its weights found for each painting.
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
        style_layer_weights: Likewise for style; empty are 1, 2, 3, … where the weighing is balanced, since the
            deeper layers hold the strokes and the first ones the grain of the canvas, and equal otherwise.
        content_weight: Weight of the content term.
        style_weight: Weight of the style term.
        tv_weight: Weight of the total variation.
        pooling: The perceptual network's pooling.
        padding: Its padding. Zeros look like an edge around every picture; ``replicate`` shows none.

    Raises:
        InputError: A weight is negative or not finite, or the number of layer weights does not match.
    """

    weighting: Weighting = "balanced"
    strength: float = 1.0
    content_layers: tuple[str, ...] = ("relu3_3",)
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    content_layer_weights: tuple[float, ...] = ()
    style_layer_weights: tuple[float, ...] = ()
    content_weight: float = 1.0
    style_weight: float = 12.0
    tv_weight: float = 0.4
    pooling: Pooling = "avg"
    padding: Padding = "replicate"

    def __post_init__(self) -> None:
        """Check the weights."""
        for name in ("strength", "content_weight", "style_weight", "tv_weight"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; expected a number from 0 up")
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


def load_vgg(source: str | Path, objective: Objective) -> VGG:
    """Load the perceptual network that an objective looks through; ``source`` as for :func:`load_vgg_weights`.

    Raises:
        WeightsError: The weights cannot be had.
        LayerError: The network lacks one of the objective's layers.
    """
    vgg = VGG(load_vgg_weights(source), objective.layers, pooling=objective.pooling, padding=objective.padding)
    return vgg.to(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Calibration:
    """What unstyled photos score: the units in which ``balanced`` weighs. All ones where it is not.

    Attributes:
        content: Variance of the features, by content layer.
        style: Squared Gram distance to the painting, by style layer.
        tv: Total variation.
    """

    content: Mapping[str, float] = field(default_factory=dict)
    style: Mapping[str, float] = field(default_factory=dict)
    tv: float = 1.0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for checkpoints and cards."""
        return asdict(self)


@dataclass(frozen=True)
class LossTerms:
    """The objective and its parts, float32 scalars. ``total`` is weighted, the parts are not."""

    total: Tensor
    content: Tensor
    style: Tensor
    tv: Tensor


class PerceptualLoss(nn.Module):
    """Content, style and total variation of a picture against one photo and one painting (or several).

    The paintings' Gram matrices are computed once, here. Everything is kept in non-persistent buffers.

    Args:
        vgg: The perceptual network; its layers must include the objective's.
        styles: Paintings, each (1, 3, H, W), RGB in [0, 1], already at the size that sets the strokes.
        objective: Layers and weights.
        style_shares: Share of each painting in the target, or None for equal ones.
        calibration: What raw photos score, or None: then :meth:`calibrate` must come before a balanced loss.

    Raises:
        InputError: No painting, or another number of shares than of paintings.
        LayerError: The network lacks one of the objective's layers.

    Reference:
        Johnson, Alahi and Fei-Fei 2016, section 3.2.

    Differs from the paper:
        ``balanced`` weighing, average pooling, replicate padding, and several paintings as the weighted mean of
        their Grams.
    """

    def __init__(
        self,
        vgg: VGG,
        styles: Sequence[Tensor],
        objective: Objective | None = None,
        *,
        style_shares: Sequence[float] | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        super().__init__()
        self.objective = objective or Objective()
        shares = list(style_shares) if style_shares is not None else [1.0] * len(styles)
        if not styles or len(shares) != len(styles) or min(shares) < 0 or sum(shares) <= 0:
            raise InputError(f"{len(shares)} shares for {len(styles)} paintings; expected one from 0 up for each")
        self.vgg = vgg
        self.calibration = calibration
        targets: dict[str, Tensor] = {}
        with torch.no_grad():
            for style, share in zip(styles, shares, strict=True):
                for layer, features in vgg(style, self.objective.style_layers).items():
                    gram = gram_matrix(features)[0] * (share / sum(shares))
                    targets[layer] = targets[layer] + gram if layer in targets else gram
        for layer, gram in targets.items():
            self.register_buffer(f"gram_{layer}", gram, persistent=False)

    def style_target(self, layer: str) -> Tensor:
        """The painting's Gram matrix at a style layer, (C, C)."""
        target = getattr(self, f"gram_{layer}")
        assert isinstance(target, Tensor)
        return target

    @torch.no_grad()
    def calibrate(self, photos: Sequence[Tensor]) -> Calibration:
        """Measure what unstyled photos score, keep it, and return it.

        Args:
            photos: Each (N, 3, H, W), RGB in [0, 1].

        Raises:
            InputError: There are no photos.
        """
        if not photos:
            raise InputError("no photos to calibrate the balanced loss on")
        content = dict.fromkeys(self.objective.content_layers, 0.0)
        style = dict.fromkeys(self.objective.style_layers, 0.0)
        tv = 0.0
        for photo in photos:
            features = self.vgg(photo, self.objective.layers)
            for layer in content:
                content[layer] += features[layer].float().var(dim=(0, 2, 3), correction=0).mean().item() / len(photos)
            for layer in style:
                gram = gram_matrix(features[layer])
                style[layer] += style_loss(gram, self.style_target(layer)).item() / len(photos)
            tv += total_variation(photo).item() / len(photos)
        self.calibration = Calibration(
            {layer: max(value, _SMALLEST_SCALE) for layer, value in content.items()},
            {layer: max(value, _SMALLEST_SCALE) for layer, value in style.items()},
            max(tv, _SMALLEST_SCALE),
        )
        return self.calibration

    def features(self, image: Tensor) -> dict[str, Tensor]:
        """All of a picture's activations that :meth:`forward` looks at; gradients flow to the picture."""
        found: dict[str, Tensor] = self.vgg(image, self.objective.layers)
        return found

    @torch.no_grad()
    def content_targets(self, photo: Tensor) -> dict[str, Tensor]:
        """The photo's activations at the content layers: what :meth:`forward` compares with."""
        found: dict[str, Tensor] = self.vgg(photo, self.objective.content_layers)
        return found

    def forward(
        self, image: Tensor, targets: Mapping[str, Tensor], *, features: Mapping[str, Tensor] | None = None
    ) -> LossTerms:
        """Score a picture.

        Args:
            image: (N, 3, H, W), RGB in [0, 1]; gradients flow to it.
            targets: :meth:`content_targets` of the photo it was made from.
            features: :meth:`features` of the picture, if they are at hand.

        Raises:
            InputError: The weighing is balanced and nothing was calibrated.
        """
        objective = self.objective
        units = self._units()
        gatys = objective.weighting == "gatys"
        features = self.features(image) if features is None else features
        content = image.new_zeros((), dtype=torch.float32)
        for layer, share in objective.shares("content").items():
            distance = content_loss(features[layer], targets[layer])
            if gatys:
                distance = distance * (0.5 * targets[layer].numel() / len(targets[layer]))
            content = content + share * distance / units.content.get(layer, 1.0)
        style = image.new_zeros((), dtype=torch.float32)
        for layer, share in objective.shares("style").items():
            distance = style_loss(gram_matrix(features[layer]), self.style_target(layer))
            if gatys:
                distance = distance * 0.25
            style = style + share * distance / units.style.get(layer, 1.0)
        tv = total_variation(image) / units.tv
        total = (
            objective.content_weight * content
            + objective.strength * objective.style_weight * style
            + objective.tv_weight * tv
        )
        return LossTerms(total, content, style, tv)

    def lattice(self, features: Mapping[str, Tensor], *, cell: int) -> Tensor:
        """:func:`lattice` of a picture's style layers, their mean.

        Args:
            features: :meth:`features` of the picture.
            cell: Its side, px. Layers with a position a cell, or fewer, cannot tell, and are left out.
        """
        sides = {layer: cell // layer_stride(layer) for layer in self.objective.style_layers}
        found = [lattice(features[layer], cell=side) for layer, side in sides.items() if side > 1]
        return torch.stack(found).mean() if found else torch.zeros(())

    def _units(self) -> Calibration:
        if self.objective.weighting != "balanced":
            return Calibration()
        if self.calibration is None:
            raise InputError("the balanced loss has no units yet", hint="Call calibrate(photos) first.")
        return self.calibration
