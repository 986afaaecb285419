"""Grounds: what is laid where, alike in torch, in graphs and in the runtime."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto
from torch import Tensor

from fast_style import Stylizer
from fast_style.errors import InputError, ModelError
from fast_style.model.checksum import add_checksum, read_checked
from fast_style.model.editing import add_input
from fast_style.model.ground import (
    COLORED,
    GROUND_KEY,
    LINES,
    NO_GROUND,
    Forms,
    Ground,
    find_palette,
    ground_in,
    ground_share,
    ground_tile,
)
from fast_style.model.passes_graph import ground_form, join_passes
from fast_style.model.session import open_session
from fast_style.model.statistics import ORIGIN
from fast_style.model.table import with_metadata
from fast_style.networks.passes import lay_ground, paint
from fast_style.styles.catalog import find_style
from fast_style.stylize.passes import measure_passes, underpaint
from fast_style.stylize.rasters import ArrayRaster
from tests.conftest import of_size, write_style

Image = NDArray[np.float32]
PALETTE = tuple(f"{20 + 15 * number:02x}{240 - 10 * number:02x}{(37 * number) % 256:02x}" for number in range(16))
FLOW = Ground("flow")
GROUNDS = (FLOW, Ground("panes"), Ground("panes", PALETTE), Ground("rings", PALETTE))


def laid(photo: Image, ground: Ground, passes: int, strength: float = 1.0) -> Image:
    feeds = {"photo": photo, "share": np.array([ground_share(strength)], np.float32)}
    grounded: Image = open_session(ground_form(ground, passes)).run(None, feeds)[0]
    return grounded


def half_detailed(height: int, width: int, *, seed: int = 0, count: int = 1) -> Image:
    """Gray at the left, noise at the right."""
    photo = np.full((count, 3, height, width), 0.5, np.float32)
    photo[..., width // 2 :] = np.random.default_rng(seed).random((count, 3, height, width - width // 2))
    return photo


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("passes", [2, 3])
def test_what_is_flat_gets_all_of_the_ground_and_what_is_detailed_nothing(ground: Ground, passes: int) -> None:
    added = laid(half_detailed(200, 400), ground, passes) - half_detailed(200, 400)
    levels, largest = ground_tile(ground, passes)
    tile = np.broadcast_to((levels / 127.5 - 1) * largest, (1, 3, *levels.shape[2:]))
    np.testing.assert_allclose(added[0, :, :, :100], tile[0, :, :200, :100].clip(-0.5, 0.5), atol=1e-5)
    assert np.abs(added[..., 300:]).max() < 1e-6
    assert (np.ptp(added[..., :200], axis=1).max() > 0.1) == bool(ground.palette)


@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("passes", [2, 3])
def test_a_ground_repeats_without_a_seam_and_nearly_leaves_the_brightness(ground: Ground, passes: int) -> None:
    tile = ground_tile(ground, passes)[0][0].mean(axis=0) / 127.5 - 1
    for axis in (0, 1):
        steps = np.abs(np.diff(tile, axis=axis)).mean(1 - axis)
        assert np.abs(tile.take(0, axis) - tile.take(-1, axis)).mean() < steps.max()
    assert abs(tile.mean()) < 0.25


@settings(deadline=None, max_examples=25)
@given(
    st.integers(32, 90),
    st.integers(32, 90),
    st.integers(0, 9),
    st.sampled_from(GROUNDS),
    st.sampled_from([2, 3]),
    st.floats(0.25, 4),
)
def test_a_graph_lays_a_ground_as_training_does(
    height: int, width: int, seed: int, ground: Ground, passes: int, strength: float
) -> None:
    photo = half_detailed(height, width, seed=seed)
    expected = lay_ground(torch.from_numpy(photo), ground, passes, strength).numpy()
    assert np.abs(laid(photo, ground, passes, strength) - expected).max() < 1e-5


def test_at_the_least_strength_little_of_a_ground_is_laid_and_from_1_on_all_of_it() -> None:
    gray = np.full((1, 3, 64, 64), 0.5, np.float32)
    amounts = [np.abs(laid(gray, FLOW, 3, strength) - gray).max() for strength in (0.25, 0.5, 1.0, 2.0, 4.0)]
    assert amounts[0] < amounts[1] < amounts[2] == amounts[3] == amounts[4]
    assert amounts[0] < 0.2 * amounts[2]


def style(path: Path, ground: str, **metadata: str) -> Path:
    return write_style(path, "negative", **{GROUND_KEY: ground}, **metadata)


def negated(photo: Tensor) -> Tensor:
    return 1 - photo


@pytest.mark.parametrize("passes", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(128, 160), (129, 131), (150, 330)])
def test_a_joined_graph_paints_over_the_ground_that_its_metadata_name(
    size: tuple[int, int], passes: int, tmp_path: Path
) -> None:
    graph = style(tmp_path / "x.onnx", "panes", paintings=json.dumps({"x": {"palette": PALETTE}})).read_bytes()
    photo = half_detailed(*size, count=2)
    (picture,) = open_session(join_passes([graph] * passes)).run(None, {"image": photo})
    expected = paint(negated, torch.from_numpy(photo), passes, ground=Ground("panes", PALETTE)).numpy()
    np.testing.assert_allclose(picture, expected, atol=2e-5)
    plain = paint(negated, torch.from_numpy(photo), passes).numpy()
    assert (np.abs(expected - plain).max() > 0.02) == (passes > 1)


@pytest.mark.parametrize("passes", [2, 3, 4])
def test_the_ground_lies_on_the_scene_over_which_a_camera_moves(passes: int, tmp_path: Path) -> None:
    model = onnx.load(style(tmp_path / "x.onnx", "flow"))
    add_input(model.graph, ORIGIN, TensorProto.INT64, (2,))
    session = open_session(join_passes([model.SerializeToString()] * passes))
    scene = np.full((1, 3, 800, 1100), 0.5, np.float32)
    picture = paint(negated, torch.from_numpy(scene), passes, ground=FLOW).numpy()
    feed = {"image": scene[..., :160, :192], ORIGIN: np.array([600, 640 + 32])}
    (part,) = session.run(None, feed)
    # Away from the borders, beyond which nothing is known.
    np.testing.assert_allclose(part[..., 32:128, 32:160], picture[..., 632:728, 704:832], atol=0.01)


@pytest.mark.parametrize("passes", [2, 3, 4, 5])
def test_the_runtime_lays_a_ground_as_training_does(passes: int, tmp_path: Path) -> None:
    photo = half_detailed(260, 300)[:, :, :259, :299]
    photo[:, 0] *= 0.5
    pixels = np.rint(photo[0].transpose(1, 2, 0) * 255).astype(np.uint8)
    stylizer = Stylizer(style(tmp_path / "x.onnx", "flow"))
    exact = torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)[None]
    for strength in (0.5, 1.0):
        painted = np.asarray(stylizer(pixels, passes=passes, strength=strength)) / 255
        expected = paint(negated, exact, passes, strength=strength, ground=FLOW)[0].permute(1, 2, 0).numpy()
        assert np.abs(painted - expected).max() < 4 / 255  # rounded to 8 bits at each pass


class Counted(ArrayRaster):
    """A photo that notes which of its copies were read."""

    def __init__(self, pixels: NDArray[np.uint8], reads: list[tuple[int, int]]) -> None:
        super().__init__(pixels)
        self.reads = reads

    def read(self, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        self.reads.append(self.size)
        part: NDArray[np.uint8] = super().read(box)
        return part

    def reduced(self, factor: int) -> Counted:
        return Counted(super().reduced(factor).pixels, self.reads)


@pytest.mark.parametrize("ground", [NO_GROUND, FLOW])
def test_no_copy_of_a_photo_is_read_twice(ground: Ground) -> None:
    reads: list[tuple[int, int]] = []
    photo = Counted(np.full((512, 512, 3), 100, np.uint8), reads)
    underpaint(lambda image: image, photo, passes=5, strength=1.0, ground=ground)
    seen = Counter(reads)
    # The last copy that lies under a ground is compared with its draft without it.
    assert seen[128, 128] == (2 if ground == FLOW else 1)
    assert all(count == 1 for size, count in seen.items() if size != (128, 128))


def test_a_photo_too_large_for_a_ground_in_memory_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.full((64, 64, 3), 100, np.uint8)

    def flat(image: Image) -> Image:
        return image

    over, _ = underpaint(flat, ArrayRaster(pixels), passes=2, strength=1.0, ground=FLOW)
    monkeypatch.setattr("fast_style.stylize.passes.MOST_PIXELS", 64 * 64 - 1)
    plain, _ = underpaint(flat, ArrayRaster(pixels), passes=2, strength=1.0, ground=FLOW)
    assert np.ptp(plain) < 1e-6
    assert np.ptp(over) > 0.1


def test_a_single_pass_has_no_ground(tmp_path: Path) -> None:
    gray = np.full((64, 64, 3), 100, np.uint8)
    assert np.array_equal(np.asarray(Stylizer(style(tmp_path / "x.onnx", "flow"))(gray, passes=1)), 255 - gray)


def test_a_ground_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="its ground is 'mud'; expected none, flow, panes, rings"):
        Stylizer(style(tmp_path / "x.onnx", "mud"))(np.zeros((64, 64, 3), np.uint8), passes=2)
    assert ground_in({}) == ground_in({GROUND_KEY: "none"}) == NO_GROUND


@pytest.mark.parametrize(("own", "ground"), [("none", "rings"), ("flow", "none"), ("panes", "flow")])
def test_a_style_over_another_ground_paints_as_a_file_that_has_it(own: str, ground: Forms, tmp_path: Path) -> None:
    mine, theirs = Stylizer(style(tmp_path / "x.onnx", own)), Stylizer(style(tmp_path / "y.onnx", ground))
    gray = np.full((160, 192, 3), 100, np.uint8)
    expected = np.asarray(theirs(gray, passes=3))
    over = mine.mixed(ground=ground)
    for painted in (
        over(gray, passes=3),
        mine(gray, passes=3, ground=ground),
        pickle.loads(pickle.dumps(over))(gray, passes=3),
    ):
        np.testing.assert_array_equal(painted, expected)
    assert np.any(np.asarray(mine(gray, passes=3)) != expected)
    assert over.mixed(strength=2.0).network.ground.forms == ground


def test_a_film_is_painted_over_another_ground(tmp_path: Path) -> None:
    gray, plain = np.full((160, 192, 3), 100, np.uint8), tmp_path / "plain.onnx"
    path = find_style("starry-night-tiny").path
    plain.write_bytes(add_checksum(with_metadata(read_checked(path), {GROUND_KEY: "none"})))
    over, theirs = (
        each.fixed(measure_passes(each, gray, passes=3)).frame(gray)
        for each in (Stylizer(plain, ground="flow").network, Stylizer(path).network)
    )
    np.testing.assert_array_equal(over, theirs)


def test_a_ground_in_the_file_of_all_passes_is_not_replaced(tmp_path: Path) -> None:
    joined = tmp_path / "x.onnx"
    joined.write_bytes(join_passes([style(tmp_path / "y.onnx", "none").read_bytes()] * 3, ground=Ground("rings")))
    assert Stylizer(joined, ground="rings").network.ground.forms == "rings"
    with pytest.raises(InputError, match="paints in passes by itself, at a fixed strength over a fixed ground"):
        Stylizer(joined, ground="flow")
    with pytest.raises(InputError, match="ground is 'mud'; expected none or flow or panes or rings"):
        Stylizer(tmp_path / "y.onnx", ground="mud")  # type: ignore[arg-type]


def test_panes_have_the_colors_of_a_painting_and_lines_that_are_darker() -> None:
    mostly = np.full((64, 64, 3), 255, np.uint8)
    mostly[:, 48:] = 200, 100, 0
    assert sorted(find_palette(mostly)) == ["c86400"] * 4 + ["ffffff"] * 12
    levels, largest = ground_tile(Ground("panes", ("000000", "c86400") * 8), 3)
    changes = (levels[0].transpose(1, 2, 0).astype(np.float64) / 127.5 - 1) * largest
    expected = COLORED * np.array([100, 50, 0]) / 255
    inside = {
        tuple(np.round(color / expected.max(), 1)) for color in changes[::8, ::8].reshape(-1, 3) if abs(color[2]) < 0.01
    }
    assert inside == {(1.0, 0.5, 0.0), (-1.0, -0.5, 0.0)}
    assert changes[..., 2].min() == pytest.approx(-LINES, abs=0.02)
    assert ground_tile(Ground("panes"), 3)[0].shape[1] == 1


def test_only_a_single_painting_has_a_palette() -> None:
    known = {"palette": list(PALETTE)}
    told = {GROUND_KEY: "rings", "paintings": json.dumps({"x": known, "y": known})}
    assert ground_in(told) == Ground("rings")
    assert ground_in(told, forms="panes", styles=["y"]) == Ground("panes", PALETTE)
    assert ground_in(told, forms="flow", styles=["y"]) == FLOW
    assert ground_in({"paintings": json.dumps({"x": {}})}, forms="rings") == Ground("rings")


def test_what_another_program_says_of_paintings_does_not_matter_without_their_colors(tmp_path: Path) -> None:
    gray = np.full((160, 192, 3), 100, np.uint8)
    for own in ("none", "flow"):
        assert np.asarray(Stylizer(style(tmp_path / "x.onnx", own, paintings="Udnie, 1913"))(gray, passes=3)).any()


def test_one_of_several_styles_has_the_colors_of_its_painting() -> None:
    assert Stylizer("ten#udnie", ground="rings").network.ground == Stylizer("udnie", ground="rings").network.ground
    assert Stylizer("ten", ground="rings").mixed({"udnie": 0.5, "the-scream": 0.5}).network.ground == Ground("rings")


def test_the_ground_that_a_style_has_anyway_is_no_other_one(tmp_path: Path) -> None:
    stylizer = Stylizer(style(tmp_path / "x.onnx", "flow"), ground="flow")
    assert stylizer.network.other_ground is None
    assert stylizer.mixed(ground="rings").mixed(ground="flow").network.other_ground is None


WRONG_PALETTES: list[object] = [["red"] * 16, ["ffffff"] * 17, [[]] * 16, "ffffff", ["０" * 6] * 16]


@pytest.mark.parametrize(
    "paintings",
    [
        "[]",
        "{",
        '{"x": 1}',
        "[" * 9999,
        '{"x": {"palette": 5}}',
        *(json.dumps({"x": {"palette": palette}}) for palette in WRONG_PALETTES),
    ],
)
def test_damaged_facts_about_paintings_are_refused(paintings: str) -> None:
    with pytest.raises(ModelError, match="what the file says of its paintings cannot be read"):
        ground_in({GROUND_KEY: "panes", "paintings": paintings})


def test_a_graph_of_one_size_holds_its_ground_and_computes_no_size(tmp_path: Path) -> None:
    graph = style(tmp_path / "x.onnx", "flow").read_bytes()
    for height, width in ((97, 131), (700, 1300)):  # smaller and larger than what is repeated
        photo = half_detailed(height, width)
        sides = [(-(-height // factor), -(-width // factor)) for factor in (4, 2, 1)]
        joined = join_passes([of_size(graph, *side) for side in sides])
        (picture,) = open_session(joined).run(None, {"image": photo})
        (expected,) = open_session(join_passes([graph] * 3)).run(None, {"image": photo})
        np.testing.assert_allclose(picture, expected, atol=1e-5)
        assert len(joined) < 500_000
        assert not any(node.op_type == "Shape" for node in onnx.load_model_from_string(joined).graph.node)


def test_shipped_styles_with_a_ground_paint_it_where_a_photo_is_flat(tmp_path: Path) -> None:
    gray = np.full((320, 320, 3), 120, np.uint8)
    plain = tmp_path / "plain.onnx"
    for name, ground in (("starry-night-tiny", "flow"), ("stained-glass", "panes")):
        path = find_style(name).path
        plain.write_bytes(add_checksum(with_metadata(read_checked(path), {GROUND_KEY: "none"})))
        assert Stylizer(path).network.ground.forms == ground
        over, under = (np.asarray(Stylizer(each)(gray)).astype(int) for each in (path, plain))
        assert np.abs(over - under).mean() > 8
