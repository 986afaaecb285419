"""A training run from end to end: painting and photos in; checkpoint, verified ONNX file and card out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only

from fast_style.recipe import Precision, Recipe
from fast_style.training.fit import fit
from fast_style.training.prepare import prepare
from fast_style.training.publish import Outcome, publish


def train_style(
    painting: str | Path | Sequence[str | Path],
    photos: str | Path,
    out: str | Path,
    *,
    name: str | None = None,
    recipe: Recipe | None = None,
    init: str | Path | None = None,
    resume: str | Path | None = None,
    devices: int = 1,
    nodes: int = 1,
    accelerator: str = "auto",
    precision: Precision = "auto",
    workers: int | None = None,
    preview_every: int | None = None,
    keep_frame: bool = False,
    details: dict[str, Any] | None = None,
    on_note: Callable[[str], None] | None = None,
    callbacks: Sequence[pl.Callback] = (),
) -> Outcome:
    """Train a style and export it: :func:`prepare`, :func:`fit`, :func:`publish`.

    Args:
        painting: The style image. Several, or a folder of them, make one file of as many styles.
        photos: A folder of photos, searched at any depth.
        out: Folder for the checkpoint, the ONNX file, the card, previews and metrics.
        name: Name of the style; None takes the painting's file name. Of several, each is called after its file.
        recipe: What to train and how. When resuming, None or one that differs only in ``steps``.
        init: A checkpoint, an exported style or the name of a shipped one, whose network to start from;
            ``nearest`` finds the nearest shipped one, see :func:`fast_style.training.start.nearest_style`.
        resume: A checkpoint to go on from, exactly.
        devices: Processes on each node, one for each device.
        nodes: Machines that train together.
        accelerator: ``auto``, ``cpu`` or ``gpu``.
        precision: ``bf16`` computes in bfloat16 with float32 weights and losses, ``auto`` does so if that
            is measured to be faster.
        workers: Processes that decode photos.
        preview_every: Steps between previews and checkpoints; None takes a twentieth of the run.
        keep_frame: Take the painting's picture whole; otherwise a frame or border around it is cut off, see
            :func:`find_canvas`, and the card says where the painting is.
        details: Plain values for the card and the ONNX metadata: title, artist, licence …
        on_note: Called before the first step with what a user should know: what was cut off, where the run starts.
        callbacks: Lightning's, such as a progress bar.

    Returns:
        What was written. After Ctrl-C the model is None and the checkpoint can be resumed.

    Raises:
        ImageError: The painting cannot be read.
        DatasetError: There are no usable photos.
        DeviceError: There is no such accelerator.
        WeightsError: The perceptual weights cannot be had.
        CheckpointError: ``init`` or ``resume`` cannot be used.
        TrainingDivergedError: The run failed; its last good checkpoint is kept.
        ExportError: The ONNX file could not be made, or was not equal.
        FileError: A file could not be written.
    """
    paintings = [painting] if isinstance(painting, str | Path) else painting
    prepared = prepare(
        [Path(one) for one in paintings],
        Path(photos),
        name=name,
        recipe=recipe,
        init=init,
        resume=None if resume is None else Path(resume),
        workers=workers,
        keep_frame=keep_frame,
        details=details,
    )
    if on_note is not None:
        for note in prepared.notes:
            rank_zero_only(on_note)(note)
    fitted = fit(
        prepared,
        Path(out),
        devices=devices,
        nodes=nodes,
        accelerator=accelerator,
        precision=precision,
        preview_every=preview_every,
        callbacks=callbacks,
    )
    # Of several processes, one publishes.
    published = rank_zero_only(publish)(fitted) if fitted.finished else None
    return published or Outcome(fitted.checkpoint, None, None, fitted.step, fitted.skipped, None)
