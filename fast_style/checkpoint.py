"""Reading checkpoints, which are hostile until proven."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from fast_style.errors import CheckpointError, InputError, did_you_mean
from fast_style.files import check_format
from fast_style.losses.loss import Units
from fast_style.losses.weights import load_stored
from fast_style.networks import TransformerNetwork, restore_network, take_style
from fast_style.recipe import Recipe
from fast_style.styles.card import damaged_entry

CHECKPOINT_FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A training run as saved.

    Attributes:
        path: Its file.
        step: Steps done.
        recipe: What was being trained and how.
        card: Values about the file: its name, its styles and their paintings.
        losses: Losses of the last step.
        average: State dict of the network to export, the averaged one.
        sets: The sets of scales and shifts to export by style, each (2, C); empty if there is one style,
            which the network itself holds.
        calibrations: Units of the loss's terms, by style.
    """

    path: Path
    step: int
    recipe: Recipe
    card: dict[str, Any]
    losses: dict[str, float]
    average: dict[str, Tensor]
    sets: dict[str, Tensor] = field(default_factory=dict)
    calibrations: dict[str, Units] = field(default_factory=dict)

    @property
    def styles(self) -> tuple[str, ...]:
        """Names of the styles."""
        return tuple(self.card["styles"])

    def network(self, style: str | None = None) -> TransformerNetwork:
        """Build the network to export, with the scales and shifts of a style, by default the first.

        Raises:
            CheckpointError: The weights do not fit the network the recipe names.
            InputError: There is no such style.
        """
        if style is not None and style not in self.styles:
            raise InputError(f"{self.path} holds no style {style!r}{did_you_mean(style, self.styles)}")
        try:
            network = restore_network(self.recipe.network, self.average).eval()
            if self.sets:
                take_style(network, self.sets[style or self.styles[0]])
        except (InputError, RuntimeError, TypeError) as error:
            raise CheckpointError(
                f"{self.path} does not hold the weights of {self.recipe.network!r}",
                hint="The file was changed: train again.",
            ) from error
        return network


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint without running any code in it.

    Raises:
        CheckpointError: It is missing, damaged, from another program or a later version of fast-style, or holds
            anything except tensors and plain values.
    """
    path = Path(path)
    hint = "Give a .ckpt file that 'fast-style train' wrote."
    stored = load_stored(path, CheckpointError, hint=hint)
    if not isinstance(stored, dict) or not isinstance(stored.get("fast_style"), dict) or "state_dict" not in stored:
        raise CheckpointError(f"{path} is not a checkpoint of fast-style", hint=hint)
    facts = stored["fast_style"]
    check_format(facts.get("format"), CHECKPOINT_FORMAT, path, CheckpointError)
    try:
        recipe = Recipe.from_dict(facts["recipe"])
        texts = facts["card"]["name"], recipe.network
        if damaged_entry(facts["card"]) or not all(isinstance(text, str) for text in texts):
            raise TypeError
        styles: list[str] = facts["card"]["styles"]
        sets = _part(stored["state_dict"], "average_sets.values.")
        return Checkpoint(
            path=path,
            step=int(stored["global_step"]),
            recipe=recipe,
            card={**facts["card"], "paintings": {style: facts["card"]["paintings"][style] for style in styles}},
            losses=dict(facts["losses"]),
            average=_part(stored["state_dict"], "average."),
            sets={style: sets[str(number)] for number, style in enumerate(styles)} if sets else {},
            calibrations={
                style: {name: {part: float(unit) for part, unit in parts.items()} for name, parts in units.items()}
                for style, units in facts["calibrations"].items()
            },
        )
    except (CheckpointError, InputError) as error:  # of the recipe, which does not know its file
        raise CheckpointError(f"{path} is damaged: {error}", hint=hint) from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: its facts about the training are incomplete", hint=hint) from error


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the weights whose names begin with a prefix, without it."""
    return {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
