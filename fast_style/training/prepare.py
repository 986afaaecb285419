"""Before the first step: the painting found, the loss calibrated, the network built and given its first weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from fast_style.checkpoint import Checkpoint, load_checkpoint
from fast_style.errors import InputError
from fast_style.graph import open_graph, read_checked, read_sets, style_names
from fast_style.images import find_photos, load_image
from fast_style.painting import STYLE_SIZE, Box, find_canvas, load_painting
from fast_style.perceptual import PerceptualLoss, load_vgg
from fast_style.recipe import Recipe
from fast_style.styles import find_style
from fast_style.training.module import StyleModule
from fast_style.training.photos import PhotoData
from fast_style.training.start import NEAREST, nearest_set, nearest_style, starting_network

CALIBRATION_PHOTOS = 32
NEARNESS_PHOTOS = 4
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Prepared:
    """A run that can begin.

    Attributes:
        name: Name of the style.
        module: What is trained; holds the recipe, the loss and the card.
        data: The photos.
        resume: The checkpoint that the run goes on from, or None.
        notes: What a user should know: what was cut off, where the run starts.
    """

    name: str
    module: StyleModule
    data: PhotoData
    resume: Path | None
    notes: tuple[str, ...]


def prepare(
    paintings: Path | Sequence[Path],
    photos: Path,
    *,
    name: str | None = None,
    recipe: Recipe | None = None,
    init: str | Path | None = None,
    resume: Path | None = None,
    workers: int | None = None,
    keep_frame: bool = False,
    details: dict[str, Any] | None = None,
) -> Prepared:
    """Make a run ready; nothing is written. Arguments and errors as of :func:`fast_style.training.train_style`."""
    given = [paintings] if isinstance(paintings, Path) else paintings
    paintings = _settle_paintings(given)
    previous = load_checkpoint(resume) if resume is not None else None
    # Fails here, and clearly, if the weights do not fit.
    network = None if previous is None else previous.network()
    recipe = _settle_recipe(recipe, previous)
    if recipe.tune == "adapter" and init is None and previous is None:
        raise InputError("an adapter needs a network to adapt", hint="Give --init with a shipped style, for one.")
    if init is not None:
        recipe = recipe.from_trained()
    boxes, notes = {}, []
    for painting in paintings:
        boxes[painting], note = _settle_box(painting, previous, keep_frame=keep_frame)
        notes += [] if note is None else [note]
    data = PhotoData(photos, size=recipe.size, batch=recipe.batch, seed=recipe.seed, workers=workers)

    pl.seed_everything(recipe.seed, verbose=False)
    vgg = load_vgg(recipe.vgg, recipe.objective)
    losses, sizes = [], {}
    for painting in paintings:
        size = recipe.style_size or _known_facts(previous, painting).get("style_size")
        picture = load_painting(painting, size, box=boxes[painting])
        sizes[painting] = max(picture.shape[-2:])
        if size is None and sizes[painting] < STYLE_SIZE:
            notes.append(f"{painting}: its forms are large, so it is taught at {sizes[painting]} px; see --style-size")
        known = None if previous is None else previous.calibrations.get(painting.stem, previous.calibration)
        loss = PerceptualLoss(vgg, [picture], recipe.objective, calibration=known)
        if loss.calibration is None and recipe.objective.weighting == "balanced":
            loss.calibrate(data.sample(CALIBRATION_PHOTOS, size=recipe.size))
        losses.append(loss)

    if init == NEAREST:
        init = nearest_style(losses[0], data.sample(NEARNESS_PHOTOS, size=recipe.size), network=recipe.network)
        notes.append(f"starting from {init}, the nearest style")
    elif init is not None and recipe.tune == "adapter" and (held := _held_styles(init)):
        # One photo: an adapter learns in seconds what more of them would tell.
        init = f"{init}#{nearest_set(losses[0], data.sample(1, size=recipe.size), held)}"
        notes.append(f"starting from {init}, the nearest style")
    name = name or style_name(given)
    facts = {
        painting.stem: _painting_facts(painting, boxes[painting], sizes[painting], details or {})
        for painting in paintings
    }
    card: dict[str, Any] = {"name": name}
    if len(paintings) > 1:
        card |= {"styles": list(facts), "paintings": facts}
    else:
        card["painting"] = facts[paintings[0].stem]
    if init is not None:
        card["init"] = Path(init).name
    elif previous is not None and "init" in previous.card:
        card["init"] = previous.card["init"]
    if init is not None:
        network = starting_network(init, network=recipe.network)
    module = StyleModule(recipe, losses, card=card, network=network)
    if previous is None and module.sets is not None and init is not None:
        _begin_with(module, init)
    module.to(memory_format=torch.channels_last)
    return Prepared(name, module, data, resume, tuple(notes))


def style_name(paintings: Sequence[Path]) -> str:
    """Name the style of a painting, or the file of several: after the painting or the folder of them."""
    return "+".join(painting.stem for painting in paintings)[:_LONGEST_NAME]


def _settle_paintings(paths: Sequence[Path]) -> list[Path]:
    """Put the pictures in the place of folders of them."""
    found = [one for path in paths for one in (find_photos(path) if path.is_dir() else [path])]
    names = [path.stem for path in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"two paintings are called {twice[0]}", hint="Their styles are called after the files.")
    return found


def _held_styles(init: str | Path) -> Path | None:
    """The file of several styles that is meant as a whole, if it is one."""
    if Path(init).suffix == ".ckpt" or "#" in str(init):
        return None
    path = find_style(init).path
    return path if style_names(open_graph(path).metadata) else None


def _begin_with(module: StyleModule, init: str | Path) -> None:
    """Let each style that the file of the start holds by its own name begin with its set, or all with a named one."""
    file, _, chosen = str(init).partition("#")
    if Path(init).suffix == ".ckpt":
        held = {name: values.numpy() for name, values in load_checkpoint(init).sets.items()}
    else:
        held = read_sets(read_checked(find_style(file).path))
    assert module.sets is not None
    assert module.average_sets is not None
    for sets in (module.sets, module.average_sets):
        for name, weight in zip(sets.names, sets.values, strict=True):
            values = held.get(chosen or name)
            if values is not None:
                powers = min(len(weight), len(values))
                weight.data[:powers] = torch.from_numpy(values[:powers].copy())


def _settle_recipe(recipe: Recipe | None, previous: Checkpoint | None) -> Recipe:
    if previous is None:
        return recipe or Recipe()
    if recipe is None:
        return previous.recipe
    old, new = previous.recipe.as_dict(), recipe.as_dict()
    changed = [key for key in old if old[key] != new[key] and key != "steps"]
    if changed:
        raise InputError(
            f"{previous.path} was trained with another {', '.join(changed)}; resuming goes on with the same recipe",
            hint="Leave these options out, or start a new run with --init.",
        )
    return recipe


def _settle_box(painting: Path, previous: Checkpoint | None, *, keep_frame: bool) -> tuple[Box | None, str | None]:
    """Where the painting is in its picture, and what to tell of it; a resumed run keeps to what it began with."""
    if previous is None:
        canvas = find_canvas(load_image(painting, opaque=True).pixels)
        if keep_frame or canvas.note is None:
            return None, None
        hint = "--keep-frame keeps it" if canvas.box else "cut it off with an image editor if it is one"
        return canvas.box, f"{painting}: {canvas.note}; {hint}"
    box = _known_facts(previous, painting).get("box")
    if box is not None and keep_frame:
        raise InputError(
            f"{previous.path} was trained without the frame, which stays so", hint="Leave --keep-frame out."
        )
    return box, None


def _known_facts(previous: Checkpoint | None, painting: Path) -> dict[str, Any]:
    """What the checkpoint's card says of a painting."""
    card = {} if previous is None else previous.card
    known: dict[str, Any] = card.get("paintings", {}).get(painting.stem, card.get("painting", {}))
    return known


def _painting_facts(painting: Path, box: Box | None, size: int, details: dict[str, Any]) -> dict[str, Any]:
    digest = hashlib.sha256(painting.read_bytes()).hexdigest()
    facts = {"file": painting.name, "sha256": digest, "style_size": size, **details}
    return facts if box is None else {**facts, "box": list(box)}
