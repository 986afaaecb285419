"""Reading checkpoints, which are hostile until proven."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fast_style.errors import CheckpointError
from fast_style.files import check_format
from fast_style.networks import TransformerNetwork, restore_network
from fast_style.perceptual import Calibration
from fast_style.recipe import Recipe

# What checkpoints say that fast-style writes now.
CHECKPOINT_FORMAT = 1
_SETS = "average_sets.values."


@dataclass(frozen=True)
class Checkpoint:
    """A training run as saved.

    Attributes:
        path: Its file.
        step: Steps done.
        recipe: What was being trained and how.
        calibration: What raw photos score.
        card: Values about the style: name, painting, licence.
        losses: Losses of the last step.
        average: State dict of the averaged network: the one to export.
        sets: The styles' averaged sets of scales and shifts by name, each (1 or 3, 2, C); none if it has one style,
            without a strength, which the network itself holds.
        calibrations: What raw photos score, by style, if there are several.
    """

    path: Path
    step: int
    recipe: Recipe
    calibration: Calibration | None
    card: dict[str, Any]
    losses: dict[str, float]
    average: dict[str, Tensor]
    sets: dict[str, Tensor] = field(default_factory=dict)
    calibrations: dict[str, Calibration] = field(default_factory=dict)

    def network(self) -> TransformerNetwork:
        """Build the averaged network, in eval mode.

        Raises:
            CheckpointError: The weights do not fit the network the recipe names.
        """
        try:
            return restore_network(self.recipe.network, self.average).eval()
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.path} does not hold the weights of {self.recipe.network!r}",
                hint="Another version of fast-style wrote it, with another network, or it was changed: train anew.",
            ) from error


def load_checkpoint(path: str | Path) -> Checkpoint:
    """Read a checkpoint without running any code in it.

    Raises:
        CheckpointError: It is missing, damaged, not ours, of a later version of fast-style, or holds anything but
            tensors and plain values.
    """
    path = Path(path)
    hint = "Give a .ckpt file that 'fast-style train' wrote."
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}", hint=hint) from error
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path} holds more than tensors and plain values; it was not run", hint=hint) from error
    except Exception as error:  # torch raises RuntimeError, EOFError, KeyError … for damaged archives
        raise CheckpointError(
            f"{path} is damaged or not a checkpoint: {str(error).splitlines()[0]}", hint=hint
        ) from error
    if not isinstance(stored, dict) or not isinstance(stored.get("fast_style"), dict) or "state_dict" not in stored:
        raise CheckpointError(f"{path} is not a checkpoint of fast-style", hint=hint)
    ours = stored["fast_style"]
    check_format(ours.get("format"), CHECKPOINT_FORMAT, path, CheckpointError)
    prefix = "average."
    calibration = ours.get("calibration")
    card = dict(ours.get("card", {}))
    names = card.get("styles", [card.get("name", "")])
    sets = {key: value for key, value in stored["state_dict"].items() if key.startswith(_SETS)}
    return Checkpoint(
        path=path,
        step=int(stored.get("global_step", 0)),
        recipe=Recipe.from_dict(ours.get("recipe", {})),
        calibration=Calibration(**calibration) if calibration else None,
        card=card,
        losses=dict(ours.get("losses", {})),
        average={
            key.removeprefix(prefix): value for key, value in stored["state_dict"].items() if key.startswith(prefix)
        },
        sets={name: sets[f"{_SETS}{number}"] for number, name in enumerate(names)} if sets else {},
        calibrations={name: Calibration(**values) for name, values in ours.get("calibrations", {}).items()},
    )
