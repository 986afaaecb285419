"""Styles by mixture and adapter, and the strength of painting: what a text names, and what is drawn."""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from fast_style import Stylizer
from fast_style.cli.app import main
from fast_style.errors import FastStyleError, InputError, StyleNotFoundError, VerificationError
from fast_style.images import to_float, to_uint8
from fast_style.model import open_graph
from fast_style.model.checksum import read_checked
from fast_style.model.ground import GROUND_KEY
from fast_style.model.passes import COARSEST_KEY, STRENGTH_KEY
from fast_style.model.table import base_checksum, give_styles, paintings_in, read_sets, with_metadata
from fast_style.styles.adapter import Adapter, save_adapter
from fast_style.styles.card import read_card
from fast_style.styles.catalog import find_style
from fast_style.styles.merge import merge_styles
from fast_style.styles.mixture import Joined, find_mixture, join_styles, mixture_name
from tests.conftest import PHOTOS

ONE, OTHER = "water-lilies", "composition-vii"


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "astronaut.png"
    Image.open(PHOTOS["astronaut"]).convert("RGB").resize((96, 80)).save(path)
    return path


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One style, as an adapter of another."""
    path = tmp_path_factory.mktemp("adapter") / "mine.safetensors"
    content = read_checked(find_style(OTHER).path)
    save_adapter(Adapter("mine", base_checksum(content), read_sets(content)[OTHER]), path)
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of two styles, whose own strength is 2."""
    path = tmp_path_factory.mktemp("two") / "two.onnx"
    sets = {name: read_sets(read_checked(find_style(name).path))[name] for name in (ONE, OTHER)}
    path.write_bytes(with_metadata(give_styles(read_checked(find_style(ONE).path), sets), {STRENGTH_KEY: "2"}))
    return path


def with_passes(path: Path, style: str, strength: float, coarsest: int = 160) -> Path:
    """A shipped style with another strength and first pass of its own."""
    told = {STRENGTH_KEY: str(strength), COARSEST_KEY: str(coarsest)}
    path.write_bytes(with_metadata(read_checked(find_style(style).path), told))
    return path


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo that is painted in two passes."""
    path = tmp_path_factory.mktemp("large") / "coffee.png"
    Image.open(PHOTOS["coffee"]).convert("RGB").resize((320, 240)).save(path)
    return path


def levels(first: Image.Image, second: Image.Image) -> int:
    """The largest difference of two pictures, in levels of 255."""
    return int(np.abs(np.asarray(first, np.int16) - np.asarray(second, np.int16)).max())


def test_styles_that_went_on_by_themselves_are_mixed_as_ten_holds_them(photo: Path) -> None:
    ten = Stylizer("ten")
    assert levels(Stylizer("udnie")(photo), ten(photo, styles={"udnie": 1.0})) > 10
    assert levels(Stylizer("udnie:0.4")(photo), Stylizer("udnie")(photo)) == 0
    both = {"udnie": 0.7, "great-wave": 0.3}
    assert levels(Stylizer("udnie:0.7,great-wave:0.3")(photo), ten(photo, styles=both)) <= 1


def test_styles_that_went_on_by_themselves_are_merged_only_by_the_names_of_those_in_ten(
    photo: Path, adapter: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    merged = tmp_path / "merged.onnx"
    assert main(["merge", "starry-night", "the-scream", f"ten#udnie+{adapter}", "-o", str(merged)]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: starry-night and the-scream and ten#udnie+")
    assert error.endswith("cannot be merged: their convolutions differ")
    assert not merged.exists()
    assert main([*hint.partition("fast-style ")[2].split(), "-o", str(merged)]) == 0
    for name in ("starry-night", "the-scream"):
        assert levels(Stylizer(f"{merged}#{name}")(photo), Stylizer(f"ten#{name}")(photo)) <= 1
    assert levels(Stylizer(f"{merged}#mine")(photo), Stylizer(OTHER)(photo)) <= 1


def test_a_merged_file_is_proved_against_each_style_by_itself(
    adapter: Path, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exchanged(styles: list[str], **options: bool) -> Joined:
        joined = join_styles(styles, **options)
        return replace(joined, sets=dict(zip(joined.sets, reversed(joined.sets.values()), strict=True)))

    monkeypatch.setattr("fast_style.styles.merge.join_styles", exchanged)
    for styles in ([ONE, OTHER], [f"{two}#{ONE}", f"{two}#{OTHER}"], [ONE, f"{ONE}+{adapter}"]):
        with pytest.raises(VerificationError, match="differs from its styles"):
            merge_styles(styles, tmp_path / "merged.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_mixture_of_one_is_that_style(photo: Path) -> None:
    alone = Stylizer(ONE)(photo)
    assert levels(Stylizer(f"{ONE}:0.4")(photo), alone) == 0
    assert levels(Stylizer(f"{ONE},{OTHER}")(photo, styles={ONE: 3.0}), alone) == 0
    assert levels(Stylizer(f"{ONE}:1,{OTHER}:1")(photo), alone) > 10


def test_weights_count_in_proportion(photo: Path) -> None:
    first = Stylizer(f"{ONE}:7,{OTHER}:3")(photo)
    assert levels(first, Stylizer(f"{ONE}:0.7,{OTHER}:0.3")(photo)) <= 1
    assert levels(first, Stylizer(f"{ONE}:0.3,{OTHER}:0.7")(photo)) > 10


def test_a_style_with_an_adapter_is_the_adapters_style(photo: Path, adapter: Path) -> None:
    assert levels(Stylizer(f"{ONE}+{adapter}")(photo), Stylizer(OTHER)(photo)) == 0
    mixed = Stylizer(f"{ONE}:0.5,{ONE}+{adapter}:0.5")
    assert mixed.network.styles == (ONE, "mine")
    assert levels(mixed(photo), Stylizer(f"{ONE},{OTHER}")(photo)) == 0


def test_an_adapter_may_have_its_base_below_a_folder_with_a_plus(photo: Path, adapter: Path, tmp_path: Path) -> None:
    base = tmp_path / "c++" / "base.onnx"
    base.parent.mkdir()
    shutil.copy(find_style(ONE).path, base)
    assert levels(Stylizer(f"{base}+{adapter}")(photo), Stylizer(OTHER)(photo)) == 0


def test_a_strength_is_heeded_and_multiplies_the_files_own(large: Path, two: Path) -> None:
    style = Stylizer(two)
    assert levels(style(large), Stylizer(ONE)(large, strength=2.0)) == 0
    assert levels(style(large, strength=0.5), Stylizer(ONE)(large)) == 0
    assert levels(Stylizer(two, strength=0.5)(large), Stylizer(ONE)(large)) == 0
    assert levels(style(large, styles={OTHER: 1.0}), Stylizer(OTHER)(large, strength=2.0)) == 0
    assert levels(Stylizer(f"{two}#{OTHER}")(large), Stylizer(OTHER)(large, strength=2.0)) == 0
    assert levels(style(large), Stylizer(ONE)(large)) > 10  # what a call is told does not stay


def test_the_stronger_the_farther_from_the_photos_detail(large: Path) -> None:
    def detail(picture: Image.Image) -> float:
        fine = []
        for shown in (picture.convert("L"), Image.open(large).convert("L")):
            coarse = shown.filter(ImageFilter.BoxBlur(3))
            fine.append(np.asarray(shown, np.float32).ravel() - np.asarray(coarse, np.float32).ravel())
        return float(np.corrcoef(fine)[0, 1])

    style = Stylizer("udnie")
    kept = [detail(style(large, strength=strength)) for strength in (0.25, 0.5, 1.0, 2.0, 4.0)]
    assert kept == sorted(kept, reverse=True)
    assert kept[0] > 1.2 * kept[-1]


def test_one_pass_has_no_strength(photo: Path) -> None:
    style = Stylizer(ONE)
    assert levels(style(photo, strength=4.0), style(photo)) == 0


def test_a_mixture_has_the_mean_of_its_styles_strengths(tmp_path: Path) -> None:
    one, other = with_passes(tmp_path / "a.onnx", ONE, 0.6, 320), with_passes(tmp_path / "b.onnx", OTHER, 2, 320)
    for text in (f"{one}:3,{other}:1", f"{other}:0.25,{one}:0.75"):
        network = Stylizer(text).network
        assert network.draft_strength == pytest.approx(0.95)
        assert network.coarsest == 320


def test_styles_whose_first_passes_differ_are_neither_mixed_nor_merged(tmp_path: Path) -> None:
    one, other = with_passes(tmp_path / "a.onnx", ONE, 1), with_passes(tmp_path / "b.onnx", OTHER, 1, 320)
    message = f"{ONE} and {OTHER} cannot be mixed: their first passes differ in size, {ONE} at 160 px, {OTHER} at 320"
    with pytest.raises(InputError, match=message):
        Stylizer(f"{one},{other}")
    assert main(["merge", str(one), str(other), "-o", str(tmp_path / "ab.onnx")]) == 2
    assert not (tmp_path / "ab.onnx").exists()


def test_a_mixture_has_the_ground_that_all_its_styles_have(tmp_path: Path) -> None:
    def over(style: str, ground: str) -> Path:
        path = tmp_path / f"{style}-{ground}.onnx"
        path.write_bytes(with_metadata(read_checked(find_style(style).path), {GROUND_KEY: ground}))
        return path

    assert Stylizer(f"{over(ONE, 'flow')},{over(OTHER, 'flow')}").network.ground.forms == "flow"
    assert Stylizer(f"{over(ONE, 'flow')},{over(OTHER, 'panes')}").network.ground.forms == "none"
    assert Stylizer(f"{over(ONE, 'flow')},{find_style(OTHER).path}").network.ground.forms == "none"


def test_styles_are_merged_only_if_their_grounds_are_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = with_metadata(read_checked(find_style(OTHER).path), {GROUND_KEY: "flow"})
    other, merged = tmp_path / "other.onnx", tmp_path / "merged.onnx"
    other.write_bytes(content)
    assert main(["merge", ONE, str(other), "-o", str(merged)]) == 2
    assert f"a file has one ground, but {ONE} has none, {OTHER} has flow" in capsys.readouterr().err
    assert not merged.exists()


def test_styles_are_merged_only_if_their_strengths_are_equal(
    tmp_path: Path, large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = with_passes(tmp_path / "a.onnx", ONE, 0.6), with_passes(tmp_path / "b.onnx", OTHER, 2)
    merged = tmp_path / "ab.onnx"
    assert main(["merge", str(one), str(other), "-o", str(merged)]) == 2
    assert f"one strength of its own, but {ONE} has 0.6, {OTHER} has 2" in capsys.readouterr().err
    assert not merged.exists()
    with_passes(one, ONE, 2)
    assert main(["merge", str(one), str(other), "-o", str(merged)]) == 0
    assert levels(Stylizer(f"{merged}#{OTHER}")(large), Stylizer(other)(large)) == 0


def test_an_adapter_has_the_strength_the_first_pass_and_the_ground_of_its_recipe(tmp_path: Path) -> None:
    content = read_checked(find_style(OTHER).path)
    values, base = read_sets(content)[OTHER], base_checksum(content)
    recipe = {"passes": 3, "draft_strength": 2.0, "coarsest": 320, "ground": "panes"}
    path = tmp_path / "mine.safetensors"
    save_adapter(Adapter("mine", base, values, {"recipe": recipe}), path)
    network = Stylizer(f"{ONE}+{path}").network
    assert (network.draft_strength, network.coarsest, network.ground.forms) == (2.0, 320, "panes")
    # Nor does one that was trained for a single pass take what its base says.
    save_adapter(Adapter("mine", base, values, {"recipe": {**recipe, "passes": 1}}), path)
    network = Stylizer(f"{with_passes(tmp_path / 'a.onnx', ONE, 0.6)}+{path}").network
    assert (network.draft_strength, network.coarsest) == (1.0, 1024)


def test_files_that_do_not_name_their_style_are_mixed_by_the_names_of_the_files(photo: Path, tmp_path: Path) -> None:
    files = []
    for style in (ONE, OTHER):
        files.append(tmp_path / f"{style}.onnx")
        files[-1].write_bytes(with_metadata(read_checked(find_style(style).path), {"styles": None}))
    mixed = Stylizer(f"{files[0]},{files[1]}")
    assert mixed.network.styles == (ONE, OTHER)
    assert levels(mixed(photo), Stylizer(f"{ONE},{OTHER}")(photo)) == 0


def test_fixed_statistics_and_pickles_keep_mixture_and_strength(photo: Path, large: Path, two: Path) -> None:
    mixed = Stylizer(two).mixed({ONE: 1.0, OTHER: 1.0}, 3.0)
    image = to_float(np.asarray(Image.open(photo)))
    drawn = mixed.network.fixed(mixed.network.measure(image)).floats(image)
    assert np.abs(to_uint8(drawn).astype(int) - np.asarray(mixed(photo))).max() <= 1
    assert levels(pickle.loads(pickle.dumps(mixed))(large), mixed(large)) == 0
    assert mixed.style.name == f"{ONE}+{OTHER}"


def test_each_style_of_a_file_can_be_had_alone(photo: Path, two: Path) -> None:
    one, other = Stylizer(two).each()
    assert (one.style.name, other.style.name) == (ONE, OTHER)
    assert levels(other(photo), Stylizer(OTHER)(photo)) == 0
    assert len(Stylizer(ONE).each()) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("great-wav:0.5,udnie", "did you mean 'great-wave'"),
        (f"{ONE},great-wave-tiny", "cannot be mixed"),
        (f"{ONE},{ONE}", "two styles are called"),
        (f"{ONE}:many", "not a weight"),
        (f"{ONE}:0", "above 0"),
        (f"{ONE}:inf", "above 0"),
        (f"{ONE},,{OTHER}", "names no style"),
        (f"{ONE}#nobody", "holds no style 'nobody'"),
        (f"{ONE}+missing.safetensors", "cannot read missing.safetensors"),
    ],
)
def test_a_text_that_names_no_mixture_is_explained(text: str, message: str) -> None:
    with pytest.raises(FastStyleError, match=message):
        Stylizer(text)


@pytest.mark.parametrize("styles", [[], ["udnie"]])
def test_fewer_than_two_styles_are_not_merged(styles: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"expected two or more styles, not {len(styles)}"):
        merge_styles(styles, tmp_path / "few.onnx")


def test_who_mixes_styles_that_share_nothing_is_told_which_shipped_ones_mix() -> None:
    with pytest.raises(InputError, match="halftone and udnie cannot be mixed") as raised:
        find_mixture("udnie,halftone")
    assert f"such as {', '.join(find_style('ten').styles)} of ten, or" in str(raised.value.hint)


def test_a_mixture_may_be_longer_than_a_path(photo: Path, tmp_path: Path) -> None:
    text = ",".join([f"{ONE}:0.{'1' * 300}", OTHER])
    assert mixture_name(text) == f"{ONE}+{OTHER}"
    assert levels(Stylizer(text)(photo), Stylizer(f"{ONE}:1,{OTHER}:9")(photo)) <= 1
    with pytest.raises(StyleNotFoundError, match="is neither the name of a style nor a file"):
        Stylizer("x" * 300)
    with pytest.raises(StyleNotFoundError, match="is neither the name of a style nor a file"):
        Stylizer(f"{ONE},{'x' * 300}")
    with pytest.raises(StyleNotFoundError, match="is neither the name of a style nor a file"):
        Stylizer(tmp_path / ("x" * 300))


def test_a_foreign_adapter_is_refused(adapter: Path) -> None:
    with pytest.raises(InputError, match="is not an adapter for great-wave-tiny"):
        Stylizer(f"great-wave-tiny+{adapter}")


def test_strengths_and_styles_that_cannot_be_had_are_refused(photo: Path, two: Path) -> None:
    for strength in (0.2, 4.5, float("nan")):
        with pytest.raises(InputError, match=r"expected 0\.25 to 4"):
            Stylizer(two, strength=strength)
        with pytest.raises(InputError, match=r"expected 0\.25 to 4"):
            Stylizer(two)(photo, strength=strength)
    with pytest.raises(InputError, match="no style 'nobody'"):
        Stylizer(two)(photo, styles={"nobody": 1.0})
    with pytest.raises(InputError, match="no style 'nobody'"):
        Stylizer(ONE)(photo, styles={"nobody": 1.0})


def test_a_file_of_one_style_is_a_list_of_one(photo: Path) -> None:
    alone = Stylizer(ONE)
    assert alone.network.styles == (ONE,)
    assert levels(alone(photo, styles={ONE: 1.0}), alone(photo)) == 0
    assert levels(Stylizer(f"{find_style(ONE).path}#{ONE}")(photo), alone(photo)) == 0


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("udnie", "udnie"),
        ("runs/mine.onnx", "mine"),
        ("udnie:0.7,the-scream:0.3", "udnie+the-scream"),
        ("all.onnx#udnie", "udnie"),
        ("udnie+a/mine.safetensors", "mine"),
    ],
)
def test_results_are_named_after_what_is_mixed(text: str, name: str) -> None:
    assert mixture_name(text) == name


def test_the_command_line_mixes_and_takes_a_strength(large: Path, two: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    text = f"{two}#{ONE}:0.5,{two}#{OTHER}:0.5"
    assert main(["stylize", str(large), "-s", text, "--strength", "3", "-o", str(out)]) == 0
    expected = Stylizer(two)(large, styles={ONE: 1, OTHER: 1}, strength=3.0)
    assert levels(Image.open(out), expected) == 0
    assert main(["stylize", str(large), "-s", "udnie-fine", "--strength", "5", "-o", str(out), "--force"]) == 2


def test_a_folder_at_another_strength_is_kept_unless_it_may_be_overwritten(
    large: Path, two: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.open(large).save(folder / "a.png")
    run = ["stylize", str(folder), "-s", str(two), "-o", str(tmp_path / "out")]
    assert main(run) == 0
    before = (tmp_path / "out" / "a.png").read_bytes()
    assert main([*run, "--strength", "3"]) == 2
    assert (tmp_path / "out" / "a.png").read_bytes() == before
    assert main([*run, "--strength", "3", "--force"]) == 0
    assert (tmp_path / "out" / "a.png").read_bytes() != before


def test_merged_styles_are_the_styles(photo: Path, adapter: Path, tmp_path: Path) -> None:
    merged = tmp_path / "all.onnx"
    assert main(["merge", ONE, f"{ONE}+{adapter}", "-o", str(merged)]) == 0
    style = Stylizer(merged)
    assert style.network.styles == (ONE, "mine")
    assert levels(style(photo), Stylizer(ONE)(photo)) == 0
    assert levels(style(photo, styles={"mine": 1.0}), Stylizer(OTHER)(photo)) == 0
    assert read_card(merged)["styles"] == [ONE, "mine"]
    assert open_graph(merged).ours
    again = tmp_path / "again.onnx"
    assert main(["merge", f"{merged}#mine", ONE, "-o", str(again)]) == 0
    assert levels(Stylizer(again)(photo), Stylizer(OTHER)(photo)) == 0


def test_what_is_known_of_paintings_is_kept_without_cards(tmp_path: Path) -> None:
    copies = [Path(shutil.copy(find_style(name).path, tmp_path)) for name in (ONE, OTHER)]
    merged = tmp_path / "merged.onnx"
    assert main(["merge", *map(str, copies), "-o", str(merged)]) == 0
    known = {name: find_style(name).paintings[name] for name in (ONE, OTHER)}
    assert known[ONE]["title"] == "Water Lilies"
    assert find_style(merged).paintings == paintings_in(open_graph(merged).metadata) == known
    assert paintings_in(Stylizer(f"{copies[0]},{copies[1]}").network.metadata) == known


def test_merging_what_does_not_belong_together_leaves_no_file(tmp_path: Path) -> None:
    for styles in ([ONE], [ONE, "great-wave-tiny"], [ONE, ONE]):
        assert main(["merge", *styles, "-o", str(tmp_path / "x.onnx")]) == 2
    assert list(tmp_path.iterdir()) == []
