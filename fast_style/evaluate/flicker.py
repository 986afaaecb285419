"""Flicker: how much a stylized picture changes where the photo only moved."""

import itertools
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fast_style.evaluate.motion import KINDS, Floats, Moment, play
from fast_style.images import Picture, Pixels, load_image, save_image
from fast_style.photos.jobs import numbered_files
from fast_style.stylize.stylizer import Stylizer


@dataclass(frozen=True)
class Flicker:
    """The change from frame to frame that motion does not explain, where the motion is known."""

    error: float  # mean absolute difference of the stylized frames after warping, levels of 255, inside the mask
    photos: float  # the same for the photos: the error of noise and sampling
    contrast: float  # standard deviation of the stylized frames, levels: a paler style flickers less and is no better
    photos_contrast: float  # the same for the photos
    covered: float  # share of the pixels inside the mask, 0 to 1
    pairs: int  # number of pairs of frames that were compared

    @property
    def relative(self) -> float:
        """Error over contrast, divided by that of the photos: 1.0 is as steady as the photos."""
        return (self.error / max(self.contrast, 1e-6)) / max(self.photos / max(self.photos_contrast, 1e-6), 1e-6)


def measure_motion(drawn: Iterable[Pixels], scene: Iterable[Moment]) -> Flicker:
    """Warp each stylized frame of a scene to the next by its known motion, and compare.

    ``drawn`` are the stylized frames, (H, W, 3) uint8. The scene has at least two moments of
    :func:`fast_style.evaluate.motion.play`.

    Reference:
        Ruder, Dosovitskiy and Brox 2016, section 3.1.
    """
    pairs = []
    for (before, drawn_before), (now, drawn_now) in itertools.pairwise(zip(scene, drawn, strict=True)):
        error, photos = (
            float(np.abs(warp(old, now.flow) - new.astype(np.float32))[now.known].mean())
            for old, new in ((drawn_before, drawn_now), (before.frame, now.frame))
        )
        pairs.append(Flicker(error, photos, float(drawn_now.std()), float(now.frame.std()), float(now.known.mean()), 1))
    return mean(pairs)


def filmed(stylizer: Stylizer, scene: Iterable[Moment], *, steady: bool = True) -> list[Pixels]:
    """Draw the frames of a film, (H, W, 3) uint8, as ``stylize`` does, or with ``--no-steady``."""
    from fast_style.films.video import VideoOptions, stylize_video  # needs PyAV

    with tempfile.TemporaryDirectory() as folder:
        for number, moment in enumerate(scene):
            save_image(Picture(moment.frame), Path(folder) / f"{number}.png")
        stylize_video(f"{folder}/%d.png", f"{folder}/drawn%d.png", stylizer, VideoOptions(steady=steady))
        return [load_image(path).pixels for path in numbered_files(Path(folder) / "drawn%d.png")]


def warp(image: NDArray[Any], flow: Floats) -> Floats:
    """Fetch each pixel of (H, W, C) from where the flow points, bilinearly; float32."""
    import cv2

    rows, columns = np.indices(flow.shape[:2], dtype=np.float32)
    x, y = columns + flow[..., 0], rows + flow[..., 1]
    moved = cv2.remap(image.astype(np.float32), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, dtype=np.float32)


def mean(parts: Sequence[Flicker]) -> Flicker:
    """Average the flicker of several scenes or pairs; the numbers of pairs add up."""
    names = ("error", "photos", "contrast", "photos_contrast", "covered")
    means = {name: float(np.mean([getattr(part, name) for part in parts])) for name in names}
    return Flicker(**means, pairs=sum(part.pairs for part in parts))


def measure_films(models: Mapping[str, Stylizer], photos: Sequence[Pixels]) -> dict[str, dict[str, Flicker]]:
    """Measure flicker on scenes made of photos, (H, W, 3) uint8, for each kind of scene and each way to draw a film.

    Returns:
        ``pan`` with each frame by itself, ``film pan`` as ``stylize`` draws films, ``no-steady pan`` as it does with
        ``--no-steady``, and so on for each kind of scene; the means over the photos, by model.
    """
    films = {kind: [list(play(kind, photo)) for photo in photos] for kind in KINDS}
    measured: dict[str, dict[str, Flicker]] = {}
    for name, stylizer in models.items():
        for way, steady in (("", None), ("film ", True), ("no-steady ", False)):
            for kind, scenes in films.items():
                measures = []
                for scene in scenes:
                    if steady is None:
                        drawn = [stylizer.frame(moment.frame) for moment in scene]
                    else:
                        drawn = filmed(stylizer, scene, steady=steady)
                    measures.append(measure_motion(drawn, scene))
                measured.setdefault(way + kind, {})[name] = mean(measures)
    return measured
