"""The recipe: everything that decides what a training run makes, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, get_args

from fast_style.errors import CheckpointError, InputError
from fast_style.perceptual import BOLD, Objective

Precision = Literal["auto", "32", "bf16"]
Tune = Literal["network", "adapter"]


@dataclass(frozen=True)
class Recipe:
    """How a style is trained. The command line, the TOML file and the checkpoint all hold exactly this.

    Attributes:
        network: Name of the transformer network.
        tune: What learns: the whole ``network``, or only an ``adapter``, the scales and shifts of its instance
            normalizations (Dumoulin et al. 2017, section 2.2), which needs a trained network to start from.
        steps: Optimizer steps.
        size: Side of the square training crops, px.
        rim: How much smaller than the crop its scored part is, on each side, px; None takes an eighth of the crop.
        batch: Photos in a step, on each device.
        style_size: Long side the painting is scaled to, px: it sets the size of the strokes. None finds it for each
            painting, see :func:`fast_style.painting.find_style_size`.
        vgg: Where the perceptual weights come from.
        objective: What is minimised.
        kept: How much of the photo is kept, from 0 up to 1, as :class:`~fast_style.evaluate.neutral.Neutral` has it, at
            strength 1: the content's weight rises until so much is, see :class:`~fast_style.training.keeping.Keeping`.
            0 leaves it at the objective's.
        grid_weight: Weight of :class:`~fast_style.perceptual.PixelGrid`, which keeps the network from drawing a grid;
            the objective of the picture itself has no such term.
        weave_weight: Weight of :class:`~fast_style.perceptual.Weave`, which keeps it from drawing a faint one where
            the picture is flat.
        lattice_weight: Weight of :class:`~fast_style.perceptual.Lattice`, which keeps it from drawing a dot or a
            stroke at the same place of every cell. Crops of less than about 128 px hold too few cells to tell that
            from chance: give 0 there.
        border_weight: Weight of :class:`~fast_style.perceptual.Border`, which keeps it from drawing a frame.
        steady_weight: Weight of :class:`~fast_style.perceptual.Steady`, which keeps what is drawn from flickering; 0
            leaves it out.
        steady_since: Share of the steps after which that counts.
        learning_rate: The peak of the schedule; None takes the network's own, see :attr:`peak_learning_rate`.
        warmup: Share of the steps in which the learning rate rises; then it falls along a cosine.
        style_warmup: Share of the steps in which the style's weight rises from a quarter to the whole. At full
            weight from the start, a network loses the photo first and finds it again slowly.
        weight_decay: Decoupled, of all weights.
        gradient_clip: Largest norm of the gradient.
        averaging: Decay per step of the exponential average of the weights that is exported.
        learn_strength: Draw a strength from 0.25 to 4 in each step, by which the painting's weight differs from what
            the objective says, and let the network paint accordingly. A third of the steps are at 1.
        seed: Of the weights, the photos' order, the crops and the flips.
    """

    network: str = "fast"
    tune: Tune = "network"
    steps: int = 2400
    size: int = 256
    rim: int | None = None
    batch: int = 2
    style_size: int | None = None
    vgg: str = "caffe-vgg19"
    objective: Objective = field(default_factory=Objective)
    kept: float = 0.0
    grid_weight: float = 600.0
    weave_weight: float = 0.0
    lattice_weight: float = 20.0
    border_weight: float = 30.0
    steady_weight: float = 0.0
    steady_since: float = 0.6
    learning_rate: float | None = None
    warmup: float = 0.1
    style_warmup: float = 0.6
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    averaging: float = 0.99
    learn_strength: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, low in (("steps", 1), ("size", 32), ("batch", 1), ("style_size", 32)):
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"{name} is {value}; expected at least {low}")
        if self.rim is not None and not 0 <= self.rim <= self.size // 4:
            raise InputError(f"rim is {self.rim}; expected 0 to a quarter of the crop, {self.size // 4}")
        if self.tune not in get_args(Tune):
            raise InputError(f"tune is {self.tune!r}; expected {' or '.join(get_args(Tune))}")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise InputError(f"learning_rate is {self.learning_rate}; expected a number between 0 and 1")
        for name in ("warmup", "style_warmup", "steady_since"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a share from 0 to 1")
        for name in ("kept", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number from 0 up to, not including, 1")

    @classmethod
    def of(cls, network: str) -> Recipe:
        """Return the recipe that a network is trained with unless told otherwise."""
        if network == "johnson":
            return cls(network=network)
        return cls(
            network=network,
            size=384,
            batch=1,
            objective=BOLD,
            kept=0.45,
            grid_weight=100.0,
            weave_weight=1.0,
            lattice_weight=40.0,
            border_weight=30.0,
            style_warmup=0.4,
        )

    def from_trained(self) -> Recipe:
        """Return the recipe for a run that starts from a trained network.

        It has the photo from the first step, so the style has its whole weight, and it learns at twice the rate: twice
        as fast along the same line between painting and photo (docs/experiments/2026-11-26-new-painting.md).
        """
        rate = self.learning_rate
        if rate is None and self.tune == "network":
            rate = 2 * self.peak_learning_rate
        return replace(self, style_warmup=0.0, learning_rate=rate)

    @property
    def peak_learning_rate(self) -> float:
        """The learning rate in use.

        Johnson's network, deeper and without a bounded end, learns at half the rate; an adapter's scales and shifts,
        which have far to go, at twenty times the rate.
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
            CheckpointError: The values are not a recipe's.
        """
        try:
            objective: dict[str, Any] = {
                key: tuple(value) if isinstance(value, list) else value for key, value in values["objective"].items()
            }
            return cls(**{**values, "objective": Objective(**objective)})
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"the recipe in this checkpoint cannot be read: {error}") from error
