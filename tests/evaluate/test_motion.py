"""Scenes with a known motion: what is told of them is what they show."""

import itertools

import numpy as np
import pytest

from fast_style.evaluate import motion
from fast_style.evaluate.flicker import measure_motion, warp
from fast_style.evaluate.motion import KINDS, Kind, play
from fast_style.images import Pixels


@pytest.fixture(scope="module")
def smooth() -> Pixels:
    rows, columns = np.indices((96, 128), dtype=np.float32)
    waves = [np.sin(columns / 9 + phase) * np.cos(rows / 7 - phase) for phase in (0.0, 1.0, 2.0)]
    return np.asarray(np.rint(128 + 100 * np.stack(waves, axis=-1)), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_the_one_before_moved_by_the_flow_wherever_that_is_known(
    kind: Kind, smooth: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(motion, "NOISE", 0.0)
    moments = list(play(kind, smooth, frames=5))
    assert not moments[0].known.any()
    for before, now in itertools.pairwise(moments):
        assert now.known.mean() > 0.8
        assert not np.array_equal(before.frame, now.frame)
        gap = np.abs(warp(before.frame, now.flow) - now.frame)[now.known]
        assert gap.mean() < 1.0
        assert gap.max() < 12.0


def test_what_comes_out_from_behind_the_disc_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "NOISE", 0.0)
    # The disc is cut from the photo upside down: above the middle it is white on black.
    photo = np.zeros((96, 128, 3), np.uint8)
    photo[48:] = 255
    above = slice(0, 28)
    for before, now in itertools.pairwise(play("layers", photo, frames=6)):
        picture, known = now.frame[above, :, 0], now.known[above]
        assert set(np.unique(picture[known])) <= {0, 255}
        revealed = (picture == 0) & (warp(before.frame, now.flow)[above, :, 0] > 128)
        assert revealed.any()
        assert not (revealed & known).any()


def test_a_style_that_does_nothing_is_as_steady_as_the_photos(smooth: Pixels) -> None:
    scene = list(play("pan", smooth, frames=4))
    found = measure_motion([moment.frame for moment in scene], scene)
    assert found.error == found.photos
    assert found.relative == pytest.approx(1.0)
    assert found.pairs == 3


def test_what_is_fixed_to_the_screen_counts_as_flicker(smooth: Pixels) -> None:
    dirt = np.random.default_rng(0).integers(0, 40, (72, 96, 1))

    def behind_dirty_glass(pixels: Pixels) -> Pixels:
        return np.clip(pixels.astype(int) + dirt, 0, 255).astype(np.uint8)

    scene = list(play("pan", smooth, frames=4))
    found = measure_motion([behind_dirty_glass(moment.frame) for moment in scene], scene)
    assert found.error > 2 * found.photos
