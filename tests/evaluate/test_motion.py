"""Scenes with a known motion: what is told of them is what they show."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from fast_style.cli.evaluate import _load_motion, _measure_flicker, _move
from fast_style.errors import InputError
from fast_style.evaluate import Model
from fast_style.evaluate.flicker import measure_motion, warp
from fast_style.evaluate.motion import KINDS, Kind, load_scene, play, save_scene
from fast_style.images import Pixels


@pytest.fixture(scope="module")
def smooth() -> Pixels:
    rows, columns = np.indices((96, 128), dtype=np.float32)
    waves = [np.sin(columns / 9 + phase) * np.cos(rows / 7 - phase) for phase in (0.0, 1.0, 2.0)]
    return np.asarray(np.rint(128 + 100 * np.stack(waves, axis=-1)), dtype=np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_frame_is_the_one_before_moved_by_the_flow_wherever_that_is_known(kind: Kind, smooth: Pixels) -> None:
    moments = list(play(kind, smooth, frames=5, noise=0.0))
    assert not moments[0].known.any()
    for before, now in itertools.pairwise(moments):
        assert now.known.mean() > 0.8
        assert not np.array_equal(before.frame, now.frame)
        gap = np.abs(warp(before.frame, now.flow) - now.frame)[now.known]
        assert gap.mean() < 1.0
        assert gap.max() < 12.0


def test_what_comes_out_from_behind_the_disc_is_not_known(smooth: Pixels) -> None:
    front = np.full_like(smooth, 255)
    behind = np.zeros_like(smooth)
    for now in list(play("layers", behind, front=front, frames=6, noise=0.0))[1:]:
        assert set(np.unique(now.frame[now.known])) <= {0, 255}
    moments = list(play("layers", behind, front=front, frames=6, noise=0.0))
    for before, now in itertools.pairwise(moments):
        revealed = (now.frame[..., 0] == 0) & (warp(before.frame, now.flow)[..., 0] > 128)
        assert revealed.any()
        assert not (revealed & now.known).any()


def test_a_style_that_does_nothing_is_as_steady_as_the_photos(smooth: Pixels) -> None:
    found = measure_motion(lambda pixels: pixels, play("pan", smooth, frames=4))
    assert found.error == found.photos
    assert found.relative == pytest.approx(1.0)
    assert found.pairs == 3


def test_a_scene_is_read_as_it_was_written(smooth: Pixels, tmp_path: Path) -> None:
    moments = list(play("zoom", smooth, frames=3))
    save_scene(moments, tmp_path / "scene.npz")
    for written, read in zip(moments, load_scene(tmp_path / "scene.npz"), strict=True):
        for name in ("frame", "flow", "known"):
            assert np.array_equal(getattr(written, name), getattr(read, name))


def test_what_is_no_scene_is_refused_in_our_words(tmp_path: Path) -> None:
    text, other, code = tmp_path / "text.npz", tmp_path / "other.npz", tmp_path / "code.npz"
    text.write_text("no scene")
    np.savez(other, frame=np.zeros((2, 4, 4, 3)), flow=np.zeros((2, 4, 4, 2)), known=np.zeros((2, 4, 4)))
    np.savez(code, frame=np.array([print]), flow=np.array([print]), known=np.array([print]))
    for path in (text, other, code, tmp_path / "missing.npz"):
        with pytest.raises(InputError, match=str(path)):
            load_scene(path)


def test_evaluate_measures_known_motion_plain_and_steady(smooth: Pixels, tmp_path: Path) -> None:
    save_scene(list(play("pan", smooth, frames=3)), tmp_path / "scene.npz")
    known = _load_motion(tmp_path / "scene.npz", motion=True) | _move([smooth])
    model = Model("inverse", tmp_path / "inverse.onnx", "onnx", lambda image: 1 - image)
    found = _measure_flicker([model], (None, None), known, steady=True)
    assert [kind for kind in found if not kind.startswith("steady ")] == ["rendered scene", *KINDS]
    assert found["pan"]["inverse"]["error"] == pytest.approx(found["pan"]["inverse"]["photos"], rel=0.01)
    assert all(f"steady {kind}" in found for kind in KINDS)


def test_what_is_fixed_to_the_screen_counts_as_flicker(smooth: Pixels) -> None:
    dirt = np.random.default_rng(0).integers(0, 40, (72, 96, 1))

    def behind_dirty_glass(pixels: Pixels) -> Pixels:
        return np.clip(pixels.astype(int) + dirt, 0, 255).astype(np.uint8)

    found = measure_motion(behind_dirty_glass, play("pan", smooth, frames=4))
    assert found.error > 2 * found.photos
