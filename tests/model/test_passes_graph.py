"""Graphs of one pass joined into one that paints in passes: against the same passes in torch."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from fast_style.errors import ModelError
from fast_style.model.checksum import read_checked
from fast_style.model.editing import read_metadata
from fast_style.model.passes import draft_shares
from fast_style.model.passes_graph import join_passes, mixing_form
from fast_style.model.session import open_session
from fast_style.model.statistics import fixed_form, measure_form
from fast_style.model.table import STYLES, base_checksum, choose_styles, read_sets
from fast_style.networks.passes import add_draft, paint
from fast_style.styles.catalog import find_style
from tests.conftest import of_size, write_style

Image = NDArray[np.float32]


def photo(height: int, width: int, *, count: int = 1) -> Image:
    image = np.random.default_rng(0).random((count, 3, height, width), np.float32)
    image[..., : width // 2] *= 0.1
    return image


def painted(graphs: list[bytes], image: Image, **told: Image) -> Image:
    """What the graphs paint in passes that torch joins."""
    sessions = [open_session(graph) for graph in graphs]
    sides = [-(-image.shape[3] // 2**step) for step in reversed(range(len(graphs)))]

    def stylize(seen: Tensor) -> Tensor:
        session = sessions[sides.index(seen.shape[3])]
        return torch.from_numpy(session.run(None, {"image": seen.numpy(), **told})[0])

    picture: Image = paint(stylize, torch.from_numpy(image), len(graphs)).numpy()
    return picture


def joined(graphs: list[bytes], image: Image, **told: Image) -> Image:
    picture: Image = open_session(join_passes(graphs)).run(None, {"image": image, **told})[0]
    return picture


@pytest.mark.parametrize("passes", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [(128, 160), (129, 131), (255, 200), (150, 330)])
def test_a_joined_graph_paints_as_torch_does_in_passes(negative: Path, size: tuple[int, int], passes: int) -> None:
    graphs = [negative.read_bytes()] * passes
    np.testing.assert_allclose(joined(graphs, photo(*size)), painted(graphs, photo(*size)), atol=1e-5)


def test_a_batch_is_painted_as_each_picture_alone(negative: Path) -> None:
    graphs = [negative.read_bytes()] * 3
    both = photo(67, 81, count=2)
    expected = np.concatenate([joined(graphs, both[:1]), joined(graphs, both[1:])])
    np.testing.assert_allclose(joined(graphs, both), expected, atol=1e-6)


def test_weights_are_stored_once_by_the_names_that_they_had() -> None:
    content = read_checked(find_style("shipwreck-tiny").path)
    plain = onnx.load_model_from_string(content)
    several = onnx.load_model_from_string(join_passes([content] * 4))
    before, after = ({tensor.name for tensor in model.graph.initializer} for model in (plain, several))
    assert before <= after
    assert all(name.startswith(("passes.", "pass")) for name in after - before)
    assert max(Counter(tensor.name for tensor in several.graph.initializer).values()) == 1
    assert several.ByteSize() < plain.ByteSize() + 200_000
    assert read_metadata(several)["passes"] == "4"
    onnx.checker.check_model(several, full_check=True)


def test_each_pass_has_its_own_statistics() -> None:
    content = read_checked(find_style("shipwreck-tiny").path)
    measuring = open_session(measure_form(content))
    image = photo(72, 90)
    each = [measuring.run(None, {"image": part})[0] for part in (image[..., ::2, ::2], image)]
    graphs = [fixed_form(content, statistics, stride=8) for statistics in each]
    np.testing.assert_allclose(joined(graphs, image), painted(graphs, image), atol=1e-5)


@pytest.mark.parametrize("origin", [(32, 16), (8, 40), (24, 24)])
def test_a_part_begins_at_half_the_origin_in_the_pass_before(origin: tuple[int, int]) -> None:
    content = read_checked(find_style("shipwreck-tiny").path)
    image = photo(64, 96)
    (statistics,) = open_session(measure_form(content)).run(None, {"image": image})
    graph = fixed_form(content, statistics, stride=8)
    session, once = open_session(join_passes([graph] * 2)), open_session(graph)
    places = {96: origin, 48: (origin[0] // 2, origin[1] // 2)}

    def stylize(seen: Tensor) -> Tensor:
        (up, left), (top, start) = (place % 8 for place in places[seen.shape[3]]), places[seen.shape[3]]
        padded = np.pad(seen.numpy(), ((0, 0), (0, 0), (up, 0), (left, 0)), mode="reflect")
        feed = {"image": padded, "origin": np.array([top - up, start - left])}
        return torch.from_numpy(once.run(None, feed)[0][..., up:, left:])

    expected = stylize(add_draft(stylize, torch.from_numpy(image), 2)[0]).numpy()
    (part,) = session.run(None, {"image": image, "origin": np.array(origin)})
    np.testing.assert_allclose(part, expected, atol=1e-5)
    (elsewhere,) = session.run(None, {"image": image})
    assert np.abs(elsewhere - part).max() > 0.01


def test_styles_are_an_input_of_all_passes() -> None:
    graphs = [read_checked(find_style("ten").path)] * 2
    told = {STYLES: np.eye(10, dtype=np.float32)[3:4]}
    image = photo(48, 65)
    picture = joined(graphs, image, **told)
    np.testing.assert_allclose(picture, painted(graphs, image, **told), atol=1e-4)
    assert np.abs(picture - joined(graphs, image)).max() > 0.1
    assert list(read_sets(join_passes(graphs))) == list(read_sets(graphs[0]))


def test_graphs_of_one_size_each_make_a_graph_of_one_size_that_computes_none(negative: Path) -> None:
    graphs = [of_size(negative.read_bytes(), *size) for size in ((17, 25), (33, 49), (65, 97))]
    np.testing.assert_allclose(joined(graphs, photo(65, 97)), painted(graphs, photo(65, 97)), atol=1e-5)
    assert not any(node.op_type == "Shape" for node in onnx.load_model_from_string(join_passes(graphs)).graph.node)


def test_styles_are_not_taken_out_of_a_graph_that_paints_in_passes() -> None:
    one, ten = (join_passes([read_checked(find_style(name).path)] * 2) for name in ("udnie-tiny", "ten"))
    for refused in (
        lambda: read_sets(one),
        lambda: base_checksum(one),
        lambda: base_checksum(ten),
        lambda: choose_styles(ten, {"udnie": 1.0}),
    ):
        with pytest.raises(ModelError, match="it paints in passes by itself"):
            refused()


def test_a_style_that_says_where_its_first_pass_begins_does_not_say_so_joined(tmp_path: Path) -> None:
    path = write_style(tmp_path / "coarse.onnx", "negative", coarsest="160")
    metadata = read_metadata(onnx.load_model_from_string(join_passes([path.read_bytes()] * 2)))
    assert metadata == {"producer": "fast-style", "passes": "2", "strength": "1"}


@pytest.mark.parametrize("size", [(96, 128), (97, 131)])
@pytest.mark.parametrize("strength", [0.25, 1.0, 4.0])
def test_the_graph_that_mixes_a_draft_does_so_as_training(size: tuple[int, int], strength: float) -> None:
    photo = torch.rand(1, 3, *size)
    pictures: list[torch.Tensor] = []

    def inverted(image: torch.Tensor) -> torch.Tensor:
        pictures.append(image)
        return 1 - image

    expected, _ = add_draft(inverted, photo, 2, strength=strength)
    (small,) = pictures
    feeds = {"photo": photo.numpy(), "small": small.numpy(), "draft": (1 - small).numpy()}
    feeds["shares"] = np.array(draft_shares(strength), np.float32)
    (seen,) = open_session(mixing_form()).run(None, feeds)
    assert np.abs(seen - expected.numpy()).max() < 1e-5
