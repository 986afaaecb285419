"""The reference's course on each photo, cached by content."""

import hashlib
import json
import time
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fast_style.device import to_tensor
from fast_style.errors import check_least
from fast_style.evaluate.neutral import NeutralMeasure
from fast_style.evaluate.places import PlacesMeasure
from fast_style.files import make_parent, replacing, user_folder
from fast_style.images import Pixels, to_uint8
from fast_style.losses import BOLD, LossTerms, Objective, PerceptualLoss, load_vgg
from fast_style.losses.loss import FIGURES
from fast_style.losses.weights import SOURCES
from fast_style.optimize import Scorer, lbfgs

CHECKPOINTS = (5, 10, 20, 50, 100, 200)

# Version of the cache, increased whenever the same inputs would give other figures.
_VERSION = 2


@dataclass(frozen=True)
class Course:
    """The reference's iterations on one photo."""

    terms: NDArray[np.float64]  # (N + 1, 4), the perceptual `FIGURES` after 0 (the photo itself) to N iterations
    pictures: dict[int, Pixels]  # iteration to (H, W, 3) uint8
    seconds: float  # median time of an iteration when it was computed
    cached: bool  # whether it was read from the cache


class Reference:
    """The reference and the units of a painting, (H, W, 3) uint8, at the size that sets the strokes.

    All models and the reference are scored in the same units: the scores of unstyled photos, each (H, W, 3) uint8. They
    are the photos to evaluate, or more of their kind.

    The reference minimizes the ``objective`` in so many ``iterations``. ``vgg`` is the source of the perceptual
    weights, ``cache`` the folder of earlier courses.

    Raises:
        InputError: There are no photos, or no iterations.
        WeightsError: The perceptual weights cannot be loaded.
    """

    def __init__(
        self,
        painting: Pixels,
        photos: Sequence[Pixels],
        *,
        objective: Objective = BOLD,
        vgg: str = "caffe-vgg19",
        iterations: int = 200,
        cache: Path | None = None,
    ) -> None:
        check_least(1, iterations=iterations)
        self.iterations, self.cache = iterations, cache
        self.neutral = NeutralMeasure(painting, vgg=vgg)
        self.places = PlacesMeasure(painting, vgg=vgg)
        self.loss = PerceptualLoss(load_vgg(vgg, objective), to_tensor(painting), objective)
        self.loss.calibrate([to_tensor(photo) for photo in photos])
        # The units depend on all photos; their figures may differ in the last digit between runs, so the
        # pictures are hashed and not the figures.
        everything = sorted(hashlib.sha256(photo.tobytes()).hexdigest() for photo in photos)
        weights = vgg if vgg in SOURCES else hashlib.sha256(Path(vgg).read_bytes()).hexdigest()
        facts = [_VERSION, asdict(objective), weights, iterations, painting.shape, everything]
        self._context = json.dumps(facts).encode() + painting.tobytes()

    @torch.no_grad()
    def score(self, picture: Pixels, photo: Pixels) -> dict[str, float]:
        """Score a picture as a stylization of a photo: the total, weighted, and each term, unweighted."""
        original = to_tensor(photo)
        terms: LossTerms = self.loss(to_tensor(picture), self.loss.content_targets(original), photo=original)
        return terms.figures()

    def course(self, photo: Pixels) -> Course:
        """Optimize a photo, or read the result from the cache.

        Raises:
            FileError: The cache cannot be written.
            ImageError: The photo is too small.
            TrainingDivergedError: The objective became infinite or no number.
        """
        if self.cache is None:
            return self._compute(photo)
        key = hashlib.sha256(self._context + repr(photo.shape).encode() + photo.tobytes()).hexdigest()
        path = self.cache / f"{key[:32]}.npz"
        make_parent(path)  # fails now, not after the iterations
        course = _read(path)
        if course is None:
            course = self._compute(photo)
            _write(path, course)
        return course

    def _compute(self, photo: Pixels) -> Course:
        content = to_tensor(photo)
        score = Scorer(self.loss, content)
        terms = [self.score(photo, photo)]
        wanted = sorted({*(each for each in CHECKPOINTS if each < self.iterations), self.iterations})
        pictures: dict[int, Pixels] = {}
        image = start = content.contiguous()
        ends = [time.perf_counter()]
        for iteration, image in enumerate(islice(lbfgs(score, start), self.iterations), 1):
            ends.append(time.perf_counter())
            terms.append(score.terms)
            if iteration in wanted:
                pictures[iteration] = to_uint8(image.numpy())
        seconds = float(np.median(np.diff(ends))) if len(ends) > 1 else 0.0
        for iteration in wanted[len(pictures) :]:
            pictures[iteration] = to_uint8(image.numpy())  # nothing improved any more before this one
        terms += [terms[-1]] * (self.iterations + 1 - len(terms))
        rows = np.array([[each[name] for name in FIGURES] for each in terms])
        return Course(rows, pictures, seconds, cached=False)


def default_cache() -> Path:
    """Where courses are kept between evaluations: a folder of the user's cache."""
    return user_folder("XDG_CACHE_HOME", ".cache") / "reference"


def _write(path: Path, course: Course) -> None:
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez_compressed(
            file,
            terms=course.terms,
            seconds=np.float64(course.seconds),
            iterations=np.array(list(course.pictures), dtype=np.int64),
            pictures=np.stack(list(course.pictures.values())),
        )


def _read(path: Path) -> Course | None:
    """Read a course; None if it is missing or damaged."""
    try:
        # Opened here because numpy leaves a damaged file open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            pictures = dict(zip(stored["iterations"].tolist(), stored["pictures"], strict=True))
            return Course(stored["terms"], pictures, float(stored["seconds"]), cached=True)
    # The archive's parts may be said to be encrypted, or of a kind of compression that is unknown.
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error):
        return None  # computed anew, and then written over
