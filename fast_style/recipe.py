"""The recipe: everything that decides the result of a training run."""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from fast_style.errors import CheckpointError, InputError
from fast_style.losses import BOLD, Objective
from fast_style.model.ground import Forms
from fast_style.model.passes import COARSEST, STRONGEST, WEAKEST

Precision = Literal["auto", "32", "bf16"]
Tune = Literal["network", "adapter"]


# Optimizer steps by default: five minutes and twenty on two cores with AVX-512.
STEPS_FROM_TRAINED, STEPS_FROM_NOTHING = 250, 1000

# Values of the recipe for the network of Johnson et al., which learns the plain objective.
_JOHNSON: dict[str, Any] = {
    "size": 256,
    "batch": 2,
    "steps": 2400,
    "objective": Objective(),
    "kept": 0.0,
    "passes": 1,
    "sharpening": 0.0,
    "style_warmup": 0.6,
}

_MOST = sys.float_info.max
_BELOW_ONE = math.nextafter(1.0, 0.0)
# Lowest and highest value of each number, and the same in words.
_RANGES: dict[str, tuple[float, float, str]] = {
    **dict.fromkeys(("steps", "batch", "style_rate"), (1, _MOST, "a number from 1 up")),
    **dict.fromkeys(("size", "style_size", "coarsest"), (32, _MOST, "a number from 32 up")),
    "passes": (1, 4, "1 to 4"),
    "seed": (0, 2**32 - 1, f"a number from 0 to {2**32 - 1}"),  # Lightning's bounds
    "draft_strength": (WEAKEST, STRONGEST, "a number from 0.25 to 4"),
    "sharpening": (0, 2, "a number from 0 to 2"),
    "learning_rate": (math.ulp(0.0), _BELOW_ONE, "a number between 0 and 1"),
    **dict.fromkeys(("warmup", "style_warmup", "steady_since"), (0, 1, "a share from 0 to 1")),
    **dict.fromkeys(("border_weight", "steady_weight", "gradient_clip"), (0, _MOST, "a number from 0 up")),
    **dict.fromkeys(("kept", "averaging"), (0, _BELOW_ONE, "a number from 0 up to, not including, 1")),
}
_CHOICES = {"tune": Tune, "precision": Precision, "ground": Forms}


@dataclass(frozen=True, init=False)
class Recipe:
    """How a style is trained. The command line, the TOML file and the checkpoint all hold exactly this.

    ``Recipe("tiny", steps=800)`` is the recipe of that network with another number of steps. The defaults below are
    those of ``fast``, ``tiny`` and ``fine``; ``johnson`` has its own.

    Attributes:
        network: Name of the transformer network.
        precision: ``bf16`` computes in bfloat16 with float32 weights and losses. ``auto`` is decided when a run starts:
            ``bf16`` on a GPU that has it, or on a processor that is measured to be faster with it. Several processes do
            not measure, since they could disagree. The checkpoint holds the decision, and a resumed run keeps it.
        tune: What is trained: the whole ``network``, or only an ``adapter``, the scales and shifts of its instance
            normalizations (Dumoulin et al. 2017, section 2.2), which needs a trained network to start from.
        steps: Optimizer steps; None takes 250 from a trained network and 1,000 from nothing.
        size: Side of the square training crops, px.
        batch: Photos in a step, on each device.
        style_size: Long side to which the painting is scaled, px: it decides the size of the strokes. None takes that
            of :func:`fast_style.painting.find_style_size`.
        vgg: Source of the perceptual network's weights.
        objective: What is minimized.
        passes: Most passes of a step. One to so many are drawn; all but the last paint a draft, without gradient, see
            :func:`~fast_style.networks.passes.add_draft`. With 1, the style learns to paint photos at once.
        coarsest: Long side of the first pass when the style runs, px. Twice as much makes a pass fewer: forms are
            smaller, and leave more of the photo.
        kept: How much of the photo is kept at strength 1, from 0 up to 1, as :func:`~fast_style.losses.kept` measures
            it at the content layers. The content's weight rises until that much is kept, see
            :class:`~fast_style.training.keeping.Keeping`. 0 leaves the weight constant.
        border_weight: Weight of :class:`~fast_style.losses.Border`, against a frame.
        steady_weight: Weight of :class:`~fast_style.losses.Steady`, against flicker; 0 leaves it out.
        steady_since: Share of the steps after which that counts.
        in_turns: Compute the border and the steady term, which each stylize once more, in turns: the border in one
            step of four with four times its weight, the steady term in two with twice its weight. Saves a third of
            the time.
        learning_rate: The schedule's peak; None takes the network's, see :attr:`peak_learning_rate`.
        style_rate: Factor of the learning rate for the scales and shifts of each of several styles, which are trained
            less often than the weights they share; at most the number of styles.
        warmup: Share of the steps in which the learning rate rises. Afterwards it falls to zero along a cosine.
        style_warmup: Share of the steps in which the style's weight rises from a quarter to the whole. At full weight
            from the start, a network loses the photo and recovers it slowly.
        gradient_clip: Largest norm of the gradient; 0 is no limit.
        averaging: Decay per step of the exponential moving average of the weights, which is exported.
        sharpening: How much crisper the network draws than what is scored, as an amount of unsharp masking, see
            :mod:`fast_style.training.sharpening`.
        grain: Teach a painting with its grain, as of canvas, film or noise. None smooths one whose grain is strong
            everywhere, see :func:`~fast_style.networks.coring.has_grain` and
            :func:`~fast_style.painting.scale_painting`.
        accents: Keep accents of the photo's colors, see :class:`~fast_style.networks.accents.Accents`, if the paintings
            have several colors.
        draft_strength: How strongly the finished style is painted at strength 1, 0.25 to 4, see
            :func:`~fast_style.model.passes.draft_shares`. The training is at 1.
        ground: What the finished style lays under the flat places of a photo, see :mod:`fast_style.model.ground`.
            The training is without it.
        seed: Seed of the weights, the photos' order, the crops and the flips.
    """

    network: str = "fast"
    precision: Precision = "auto"
    tune: Tune = "network"
    steps: int | None = None
    size: int = 320
    batch: int = 1
    style_size: int | None = None
    vgg: str = "caffe-vgg19"
    objective: Objective = BOLD
    passes: int = 3
    coarsest: int = COARSEST
    kept: float = 0.4
    border_weight: float = 30.0
    steady_weight: float = 0.0
    steady_since: float = 0.6
    in_turns: bool = False
    learning_rate: float | None = None
    style_rate: float = 1.0
    warmup: float = 0.1
    style_warmup: float = 0.4
    gradient_clip: float = 1.0
    averaging: float = 0.99
    sharpening: float = 0.6
    grain: bool | None = None
    accents: bool = True
    draft_strength: float = 1.0
    ground: Forms = "none"
    seed: int = 0

    def __init__(self, network: str = "fast", **changes: Any) -> None:
        """Take the network's recipe with changes.

        Raises:
            TypeError: A recipe has no such value.
            InputError: A value is out of its range.
        """
        values = {field.name: field.default for field in fields(self)}
        if unknown := changes.keys() - values.keys():
            raise TypeError(f"a recipe has no {', '.join(sorted(unknown))}")
        values |= {**(_JOHNSON if network == "johnson" else {}), **changes, "network": network}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        for name, (low, high, words) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise InputError(f"{name} is {value}; expected {words}")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in get_args(choices):
                raise InputError(f"{name} is {getattr(self, name)!r}; expected {' or '.join(get_args(choices))}")
        if self.kept and not self.objective.content_layers:
            raise InputError("kept is measured at the content layers, and there are none", hint="Set kept to 0.")
        if self.kept and not self.objective.content_weight:
            raise InputError("kept is reached by the content's weight, and that is 0", hint="Set kept to 0.")

    def from_trained(self) -> Recipe:
        """Return the recipe for a run that starts from a trained network.

        It has the photo from the first step, so the style has its whole weight, and it learns at twice the rate: about
        twice as fast, with the same trade between painting and photo at each distance.
        """
        steps = STEPS_FROM_TRAINED if self.steps is None else self.steps
        rate = self.learning_rate
        if rate is None and self.tune == "network":
            rate = 2 * self.peak_learning_rate
        return replace(self, steps=steps, style_warmup=0.0, learning_rate=rate)

    @property
    def step_count(self) -> int:
        """The number of optimizer steps in use."""
        return STEPS_FROM_NOTHING if self.steps is None else self.steps

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate in use.

        Johnson's network, deeper and with unbounded output, learns at half the rate; an adapter's scales and shifts,
        which must change much, at twenty times the rate.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        if self.tune == "adapter":
            return 4e-2
        return 1e-3 if self.network == "johnson" else 2e-3

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for checkpoints and cards."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Recipe:
        """Read what :meth:`as_dict` wrote.

        Raises:
            CheckpointError: A value is missing or unknown.
        """
        try:
            objective: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in values["objective"].items()
            }
            return cls(**{**values, "objective": Objective(**objective)})
        except (AttributeError, KeyError, RuntimeError, TypeError) as error:  # a tensor has no truth
            raise CheckpointError(f"the recipe in this checkpoint cannot be read: {error}") from error
