"""The recipe: everything that decides what a training run makes, in one place."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from fast_style.errors import CheckpointError, InputError
from fast_style.losses import BOLD, Objective

Precision = Literal["auto", "32", "bf16"]
Tune = Literal["network", "adapter"]
Schedule = Literal["cosine", "constant"]


# What differs for the network of Johnson et al., which learns the plain objective.
_JOHNSON: dict[str, Any] = {
    "size": 256,
    "batch": 2,
    "objective": Objective(),
    "kept": 0.0,
    "grid_weight": 600.0,
    "weave_weight": 0.0,
    "lattice_weight": 20.0,
    "style_warmup": 0.6,
}


@dataclass(frozen=True, init=False)
class Recipe:
    """How a style is trained. The command line, the TOML file and the checkpoint all hold exactly this.

    ``Recipe("tiny", steps=800)`` is the recipe of that network but for the steps. The defaults below are those of
    ``fast``, ``tiny`` and ``fine``; ``johnson`` has other ones.

    Attributes:
        network: Name of the transformer network.
        precision: ``bf16`` computes in bfloat16 with float32 weights and losses. ``auto`` is decided as a run begins:
            ``bf16`` on a GPU that has it, or on a processor that is measured to be faster so, which several processes
            do not do, since they could disagree. The checkpoint holds the decision, and a resumed run keeps to it.
        tune: What learns: the whole ``network``, or only an ``adapter``, the scales and shifts of its instance
            normalizations (Dumoulin et al. 2017, section 2.2), which needs a trained network to start from.
        steps: Optimizer steps.
        size: Side of the square training crops, px.
        rim: How much smaller than the crop its scored part is, on each side, px; None takes an eighth of the crop.
        batch: Photos in a step, on each device.
        style_size: Long side the painting is scaled to, px: it sets the size of the strokes. None finds it for each
            painting, see :func:`fast_style.painting.find_style_size`.
        vgg: Where the perceptual weights come from.
        objective: What is minimized.
        kept: How much of the photo is kept, from 0 up to 1, as :class:`~fast_style.evaluate.neutral.Neutral` has it, at
            strength 1: the content's weight rises until so much is, see :class:`~fast_style.training.keeping.Keeping`.
            0 leaves it at the objective's.
        grid_weight: Weight of :class:`~fast_style.losses.PixelGrid`, which keeps the network from drawing a grid;
            the objective of the picture itself has no such term.
        weave_weight: Weight of :class:`~fast_style.losses.Weave`, which keeps it from drawing a faint one where
            the picture is flat.
        lattice_weight: Weight of :class:`~fast_style.losses.Lattice`, which keeps it from drawing a dot or a
            stroke at the same place of every cell. Crops of less than about 128 px hold too few cells to tell that
            from chance: give 0 there.
        border_weight: Weight of :class:`~fast_style.losses.Border`, which keeps it from drawing a frame.
        steady_weight: Weight of :class:`~fast_style.losses.Steady`, which keeps what is drawn from flickering; 0
            leaves it out.
        steady_since: Share of the steps after which that counts.
        in_turns: Compute the border and the steady term, which draw a second time, in turns: the border in one step of
            four, by four times its weight, and steadiness in two, by twice its weight. Needs about a third less time.
        border_strips: Share of the steps that score a strip across the crop in place of a square, see
            :func:`~fast_style.losses.draw_strip`: a long training otherwise leaves the border pale. The border
            term needs a square, so this needs ``in_turns``, and leaves the steps of that term as they are.
        learning_rate: The peak of the schedule; None takes the network's own, see :attr:`peak_learning_rate`.
        style_rate: How many times faster the scales and shifts of each of several styles learn than what they share,
            at most as many times as there are styles: each is drawn less often.
        warmup: Share of the steps in which the learning rate rises.
        schedule: Afterwards it falls to zero along a ``cosine``, or stays ``constant``, for a run that others start
            from.
        style_warmup: Share of the steps in which the style's weight rises from a quarter to the whole. At full
            weight from the start, a network loses the photo first and finds it again slowly.
        weight_decay: Decoupled, of all weights.
        gradient_clip: Largest norm of the gradient.
        averaging: Decay per step of the exponential average of the weights that is exported.
        start_share: Share of the weights that a run started from in those that are exported. What networks before and
            after a long training paint alike stays, what each of them has got used to goes (Wortsman et al. 2022,
            "Robust fine-tuning of zero-shot models", section 3).
        learn_strength: Draw a strength from 0.25 to 4 in each step, by which the painting's weight differs from what
            the objective says, and let the network paint accordingly. A third of the steps are at 1. None does so if
            there are several paintings.
        seed: Of the weights, the photos' order, the crops and the flips.
    """

    network: str = "fast"
    precision: Precision = "auto"
    tune: Tune = "network"
    steps: int = 2400
    size: int = 384
    rim: int | None = None
    batch: int = 1
    style_size: int | None = None
    vgg: str = "caffe-vgg19"
    objective: Objective = BOLD
    kept: float = 0.45
    grid_weight: float = 100.0
    weave_weight: float = 1.0
    lattice_weight: float = 40.0
    border_weight: float = 30.0
    steady_weight: float = 0.0
    steady_since: float = 0.6
    in_turns: bool = False
    border_strips: float = 0.0
    learning_rate: float | None = None
    style_rate: float = 1.0
    warmup: float = 0.1
    schedule: Schedule = "cosine"
    style_warmup: float = 0.4
    weight_decay: float = 0.0
    gradient_clip: float = 1.0
    averaging: float = 0.99
    start_share: float = 0.0
    learn_strength: bool | None = None
    seed: int = 0

    def __init__(self, network: str = "fast", **changes: Any) -> None:
        """Take the network's recipe, changed.

        Raises:
            TypeError: A recipe has no such value.
            InputError: A value is out of its range.
        """
        values = {field.name: field.default for field in fields(self)}
        if unknown := changes.keys() - values.keys():
            raise TypeError(f"a recipe has no {', '.join(sorted(unknown))}")
        for name, value in {**values, **(_JOHNSON if network == "johnson" else {}), **changes}.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "network", network)
        self._check()

    def _check(self) -> None:
        """Check the ranges."""
        for name, low in (("steps", 1), ("size", 32), ("batch", 1), ("style_size", 32)):
            value = getattr(self, name)
            if value is not None and value < low:
                raise InputError(f"{name} is {value}; expected at least {low}")
        if self.rim is not None and not 0 <= self.rim <= self.size // 4:
            raise InputError(f"rim is {self.rim}; expected 0 to a quarter of the crop, {self.size // 4}")
        for name, choices in (("tune", Tune), ("precision", Precision), ("schedule", Schedule)):
            if getattr(self, name) not in get_args(choices):
                raise InputError(f"{name} is {getattr(self, name)!r}; expected {' or '.join(get_args(choices))}")
        if not 1 <= self.style_rate < float("inf"):
            raise InputError(f"style_rate is {self.style_rate}; expected a number from 1 up")
        if self.learning_rate is not None and not 0 < self.learning_rate < 1:
            raise InputError(f"learning_rate is {self.learning_rate}; expected a number between 0 and 1")
        for name in ("warmup", "style_warmup", "steady_since", "border_strips"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a share from 0 to 1")
        for name in ("kept", "averaging", "start_share"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; expected a number from 0 up to, not including, 1")
        if self.border_strips and self.border_weight and not self.in_turns:
            raise InputError(
                "border_strips is given and the border term counts in each step", hint="Set in_turns, too."
            )

    def from_trained(self) -> Recipe:
        """Return the recipe for a run that starts from a trained network.

        It has the photo from the first step, so the style has its whole weight, and it learns at twice the rate: about
        twice as fast, with the same trade between painting and photo at each distance.
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
