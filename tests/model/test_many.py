"""Many styles in one graph: each as alone, mixtures, and back to a graph of one style."""

import json

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper

from fast_style.errors import InputError, ModelError
from fast_style.model.checksum import read_checked
from fast_style.model.editing import read_metadata
from fast_style.model.session import open_session
from fast_style.model.statistics import measure_form
from fast_style.model.table import (
    STYLES,
    Set,
    as_row,
    base_checksum,
    choose_styles,
    give_styles,
    mixture_file,
    paintings_in,
    read_sets,
    style_names,
    with_metadata,
)
from fast_style.styles.catalog import find_style

# Two styles of one network: their convolutions are the same.
ONE, OTHER = "water-lilies", "composition-vii"


def content_of(style: str) -> bytes:
    return read_checked(find_style(style).path)


@pytest.fixture(scope="module")
def sets() -> dict[str, Set]:
    return {name: read_sets(content_of(name))[name] for name in (ONE, OTHER)}


@pytest.fixture(scope="module")
def many(sets: dict[str, Set]) -> bytes:
    return give_styles(content_of(ONE), sets)


@pytest.fixture(scope="module")
def image() -> NDArray[np.float32]:
    image = np.random.default_rng(1).random((2, 3, 41, 57), np.float32)
    image[..., :30] = np.linspace(0, 1, 41, dtype=np.float32)[:, None]
    return image


def draw(content: bytes, image: NDArray[np.float32], **told: NDArray[np.float32]) -> NDArray[np.float32]:
    (drawn,) = open_session(content).run(None, {"image": image, **told})
    return drawn  # type: ignore[no-any-return]  # sessions return what the graph says


def one_hot(number: int) -> NDArray[np.float32]:
    return np.eye(2, dtype=np.float32)[number : number + 1]


def test_the_graph_is_valid_and_says_what_it_takes(many: bytes) -> None:
    model = onnx.load_model_from_string(many)
    onnx.checker.check_model(model, full_check=True)
    assert [value.name for value in model.graph.input] == ["image", STYLES]
    assert style_names({entry.key: entry.value for entry in model.metadata_props}) == (ONE, OTHER)


@pytest.mark.parametrize(("number", "name"), [(0, ONE), (1, OTHER)])
def test_a_one_hot_mixture_is_the_style_alone(many: bytes, image: NDArray[np.float32], number: int, name: str) -> None:
    np.testing.assert_allclose(draw(many, image, styles=one_hot(number)), draw(content_of(name), image), atol=2e-6)


def test_what_is_left_out_is_the_first_style(many: bytes, image: NDArray[np.float32]) -> None:
    np.testing.assert_array_equal(draw(many, image), draw(many, image, styles=one_hot(0)))


def test_each_picture_of_a_batch_has_weights_of_its_own(many: bytes, image: NDArray[np.float32]) -> None:
    weights = np.array([[0.0, 1.0], [0.7, 0.3]], np.float32)
    together = draw(many, image, styles=weights)
    for number in range(2):
        part = slice(number, number + 1)
        np.testing.assert_allclose(together[part], draw(many, image[part], styles=weights[part]), atol=2e-6)


def test_scales_and_shifts_are_mixed_linearly(many: bytes, sets: dict[str, Set]) -> None:
    (mixed,) = read_sets(choose_styles(many, {ONE: 1, OTHER: 3})).values()
    np.testing.assert_allclose(mixed, 0.25 * sets[ONE] + 0.75 * sets[OTHER], atol=1e-6)


@settings(max_examples=8, deadline=None)
@given(weight=st.floats(0, 1))
def test_a_chosen_mixture_is_the_same_picture(many: bytes, image: NDArray[np.float32], weight: float) -> None:
    weights = {ONE: weight, OTHER: 1 - weight}
    expected = draw(many, image, styles=as_row((ONE, OTHER), weights))
    np.testing.assert_allclose(draw(choose_styles(many, weights), image), expected, atol=1e-5)


def test_a_chosen_style_is_a_plain_graph_again(many: bytes) -> None:
    plain = onnx.load_model_from_string(choose_styles(many, {OTHER: 1.0}))
    original = onnx.load_model_from_string(content_of(OTHER))
    assert [value.name for value in plain.graph.input] == ["image"]
    assert sorted(node.op_type for node in plain.graph.node) == sorted(node.op_type for node in original.graph.node)
    names = {tensor.name for tensor in original.graph.initializer if tensor.name.startswith("network.")}
    assert names <= {tensor.name for tensor in plain.graph.initializer}
    measure_form(choose_styles(many, {OTHER: 1.0}))  # which refuses normalizations without constants


def test_a_graph_whose_normalizations_are_made_otherwise_is_refused(many: bytes) -> None:
    model = onnx.load_model_from_string(many)
    norm = next(node for node in model.graph.node if node.op_type == "InstanceNormalization")
    apart = next(node for node in model.graph.node if norm.output[0] in node.input)
    apart.op_type = "Identity"
    del apart.input[1:]
    with pytest.raises(ModelError, match="its normalizations"):
        choose_styles(with_metadata(model.SerializeToString(), {}), {ONE: 1.0})


def test_normalizations_whose_scales_and_shifts_differ_in_number_are_damaged() -> None:
    model = onnx.load_model_from_string(content_of(ONE))
    norm = next(node for node in model.graph.node if node.op_type == "InstanceNormalization")
    scale = next(tensor for tensor in model.graph.initializer if tensor.name == norm.input[1])
    scale.CopyFrom(numpy_helper.from_array(np.ones(1, np.float32), scale.name))
    with pytest.raises(ModelError, match="normalizations of this graph cannot be read"):
        read_sets(with_metadata(model.SerializeToString(), {}))


def test_the_file_of_a_mixture_names_what_it_was_mixed_of_and_nothing_else(many: bytes) -> None:
    paintings = {name: {"title": name.title()} for name in ("another", OTHER, ONE)}
    told = {"paintings": json.dumps(paintings), "recipe": "{}", "losses": "{}"}
    content = mixture_file(with_metadata(many, told), {OTHER: 3, ONE: 1})
    known = read_metadata(onnx.load_model_from_string(content))
    assert known["name"] == f"{OTHER}+{ONE}"
    assert list(paintings_in(known).items()) == [(OTHER, paintings[OTHER]), (ONE, paintings[ONE])]
    assert not {"recipe", "losses"} & set(known)


@pytest.mark.parametrize("said", ["[", "[]", '{"udnie": 1}'])
def test_paintings_that_cannot_be_read_are_said_to_be_damaged(said: str) -> None:
    with pytest.raises(ModelError, match="what the file says of its paintings cannot be read"):
        paintings_in({"paintings": said})


def test_sets_come_back_as_they_were_given(many: bytes, sets: dict[str, Set]) -> None:
    found = read_sets(many)
    assert list(found) == [ONE, OTHER]
    for name, values in sets.items():
        np.testing.assert_array_equal(found[name], values)


def test_styles_of_one_network_have_one_base_and_others_another(many: bytes) -> None:
    base = base_checksum(content_of(ONE))
    assert base == base_checksum(content_of(OTHER)) == base_checksum(many)
    assert base != base_checksum(content_of("great-wave-tiny"))


def test_sets_that_do_not_fit_are_refused(sets: dict[str, Set]) -> None:
    foreign = read_sets(content_of("great-wave-tiny"))["great-wave-tiny"]
    with pytest.raises(InputError, match="do not fit the network"):
        give_styles(content_of(ONE), {"a": foreign})
    with pytest.raises(InputError, match="do not fit the network"):
        give_styles(content_of(ONE), {ONE: sets[ONE], OTHER: sets[OTHER][:1]})


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"water-lilie": 1.0}, "did you mean 'water-lilies'"),
        ({ONE: -0.1, OTHER: 1.0}, "from 0 up"),
        ({ONE: float("nan")}, "from 0 up"),
        ({ONE: 0.0}, "all zero"),
        ({ONE: 1e308, OTHER: 1e308}, "too large"),
    ],
)
def test_weights_that_make_no_mixture_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        as_row((ONE, OTHER), weights)


@pytest.mark.parametrize("names", ["", "udnie", "[]", "[1]", '{"a": 1}', "[" * 100_000, '["../a"]'], ids=range(7))
def test_names_that_are_no_list_are_refused(names: str) -> None:
    with pytest.raises(ModelError, match="names of its styles"):
        style_names({"styles": names})
