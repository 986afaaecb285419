import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
import pytest
import torch

from fast_style.cli import main
from fast_style.errors import FileError
from fast_style.evaluate import Options, Report, evaluate_styles
from fast_style.evaluate.evaluation import Evaluation, equivalent_iterations, evaluate, find_faults
from fast_style.evaluate.reference import Course, Reference, default_cache
from fast_style.evaluate.report import draw_sheet, write_text
from fast_style.images import Picture, Pixels, load_image, resize, save_image
from fast_style.losses import Objective
from fast_style.losses.loss import FIGURES
from tests.conftest import PAINTING, PHOTOS, random_state

SMALL = Objective(content_layers=("relu2_1",), style_layers=("relu1_1", "relu2_1"))


def square(pixels: Pixels, size: int = 128) -> Pixels:
    side = min(pixels.shape[:2])
    return resize(Picture(pixels[:side, :side].copy()), (size, size)).pixels


@pytest.fixture(scope="module")
def photos() -> dict[str, Pixels]:
    return {name: square(load_image(PHOTOS[name]).pixels) for name in ("chelsea", "flower")}


@pytest.fixture(scope="module")
def painting() -> Pixels:
    return square(load_image(PAINTING).pixels)


@pytest.fixture(scope="module")
def reference(photos: dict[str, Pixels], painting: Pixels, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """Computed once, as each iteration takes a second."""
    cache = tmp_path_factory.mktemp("reference")
    return Reference(painting, list(photos.values()), objective=SMALL, iterations=5, cache=cache)


def write_identity(path: Path, *sides: str | int) -> Path:
    """Save a style that leaves pictures as they are."""
    values = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (1, 3, *sides)) for name in ("image", "out")
    ]
    nodes = [onnx.helper.make_node("Identity", ["image"], ["out"])]
    graph = onnx.helper.make_graph(nodes, "test", values[:1], values[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    onnx.helper.set_model_props(model, {"producer": "fast-style"})
    onnx.save_model(model, path)
    return path


def test_reference_ranks_unstyled_below_ten_below_fifty_iterations(photos: dict[str, Pixels], painting: Pixels) -> None:
    reference = Reference(painting, list(photos.values()), objective=SMALL, iterations=50)
    course = reference.course(square(photos["chelsea"], 64))
    totals = course.terms[:, 0]
    assert totals[0] > totals[10] > totals[50]
    assert (np.diff(totals) <= 0).all()
    assert sorted(course.pictures) == [5, 10, 20, 50]


def test_unstyled_photos_score_one_in_style_and_tv_and_zero_in_content(
    photos: dict[str, Pixels], painting: Pixels
) -> None:
    reference = Reference(painting, list(photos.values()), objective=SMALL, iterations=1)
    scores = [reference.score(p, p) for p in photos.values()]
    assert np.mean([s["style"] for s in scores]) == pytest.approx(1.0, rel=1e-5)
    assert np.mean([s["tv"] for s in scores]) == pytest.approx(1.0, rel=1e-5)
    assert np.mean([s["content"] for s in scores]) == pytest.approx(0.0, abs=1e-6)


def test_second_course_comes_from_the_cache_and_is_equal(
    photos: dict[str, Pixels], painting: Pixels, tmp_path: Path
) -> None:
    everything = list(photos.values())
    first, second = (
        Reference(painting, everything, objective=SMALL, iterations=5, cache=tmp_path).course(everything[0])
        for _ in range(2)
    )
    assert (first.cached, second.cached) == (False, True)
    assert np.array_equal(first.terms, second.terms)
    assert np.array_equal(first.pictures[5], second.pictures[5])
    other = Reference(255 - painting, everything, objective=SMALL, iterations=5, cache=tmp_path)
    assert not other.course(everything[0]).cached


def test_other_weights_in_the_file_of_the_same_name_are_another_reference(
    photos: dict[str, Pixels], painting: Pixels, tmp_path: Path
) -> None:
    everything = list(photos.values())

    def course(seed: int) -> Course:
        torch.save(random_state(seed=seed), tmp_path / "vgg.pth")
        options: dict[str, Any] = {"objective": SMALL, "iterations": 1, "cache": tmp_path / "cache"}
        return Reference(painting, everything, vgg=str(tmp_path / "vgg.pth"), **options).course(everything[0])

    first, other, again = course(0), course(1), course(0)
    assert (first.cached, other.cached, again.cached) == (False, False, True)
    assert not np.array_equal(first.terms, other.terms)


def test_damaged_cache_is_computed_anew(photos: dict[str, Pixels], painting: Pixels, tmp_path: Path) -> None:
    everything = list(photos.values())
    reference = Reference(painting, everything, objective=SMALL, iterations=1, cache=tmp_path)
    reference.course(everything[0])
    (stored,) = tmp_path.iterdir()
    content = stored.read_bytes()
    inside = content.index(b"pictures.npy") + 40  # in a compressed part
    changed = content[:inside] + bytes(byte ^ 0xFF for byte in content[inside : inside + 40]) + content[inside + 40 :]
    for damaged in (content[:100], changed):
        stored.write_bytes(damaged)
        assert not reference.course(everything[0]).cached
        assert reference.course(everything[0]).cached


def test_a_cache_that_cannot_be_made_is_told_before_the_iterations(
    photos: dict[str, Pixels], painting: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    everything = list(photos.values())
    reference = Reference(painting, everything, objective=SMALL, iterations=1, cache=tmp_path / "file" / "cache")
    monkeypatch.setattr(reference, "_compute", None)
    with pytest.raises(FileError, match=r"cannot write .*\.npz: .*Not a directory"):
        reference.course(everything[0])


def test_a_report_whose_folder_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    report = Report(PAINTING, Options(), cast("Evaluation", None), {}, ())
    with pytest.raises(FileError, match=r"cannot write .*sheet\.png: .*Not a directory"):
        report.write(tmp_path / "file" / "out")


def test_a_relative_folder_of_the_users_cache_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "fast-style" / "reference"
    for given in ("cache", ""):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert default_cache() == Path.home() / ".cache" / "fast-style" / "reference"


def test_equivalent_iterations_interpolate() -> None:
    curve = np.array([10.0, 4.0, 2.0, 1.0])
    assert equivalent_iterations(curve, 11.0) == 0.0
    assert equivalent_iterations(curve, 7.0) == pytest.approx(0.5)
    assert equivalent_iterations(curve, 2.0) == pytest.approx(2.0)
    assert equivalent_iterations(curve, 1.25) == pytest.approx(2.75)
    assert equivalent_iterations(curve, 0.5) is None


def test_a_stage_of_the_reference_is_found_to_be_that_stage(photos: dict[str, Pixels], reference: Reference) -> None:
    pictures = {photo.tobytes(): reference.course(photo).pictures[5] for photo in photos.values()}

    found = evaluate({"replay": lambda photo: pictures[photo.tobytes()]}, photos, reference)
    (model,) = found.models
    assert model.iterations is None or model.iterations == pytest.approx(5.0, abs=0.1)
    assert model.terms["total"] == pytest.approx(found.curve[5, 0], rel=0.01)
    assert model.warnings == ()
    assert [result.name for result in found.baselines] == ["unstyled", "reference 5"]
    text = write_text(found, title="A title")
    assert "- **replay** reaches what the reference reaches after 5" in text or "reaches more than" in text
    assert len({row.count(" | ") for row in text.splitlines() if row.startswith("| ")}) == 1
    assert found.baselines[0].neutral == pytest.approx({"distance": 1.0, "colors": 1.0, "kept": 1.0})
    assert model.neutral == pytest.approx(found.baselines[1].neutral)
    unstyled = found.baselines[0].places
    assert unstyled == {name: pytest.approx((1.0, 1.0, 1.0)) for name in ("precision", "flat_precision", "coverage")}
    assert model.places == found.baselines[1].places != unstyled
    assert "| flat precision | 1.00 / 1.00 / 1.00 |" in text


def test_pictures_from_elsewhere_are_scored_as_a_model_would_be_that_makes_them(
    photos: dict[str, Pixels], reference: Reference
) -> None:
    negatives = {"negative": [255 - photo for photo in photos.values()]}
    models = {"network": lambda photo: 255 - photo}
    network, pictures = evaluate(models, photos, reference, pictures=negatives).models
    assert (pictures.name, pictures.milliseconds, pictures.ratio) == ("negative", None, None)
    assert pictures.terms == pytest.approx(network.terms, rel=1e-3)
    assert pictures.neutral == pytest.approx(network.neutral)
    assert pictures.places == network.places
    assert pictures.quality == network.quality


def test_a_sheet_shows_every_picture_at_full_size(photos: dict[str, Pixels], reference: Reference) -> None:
    given = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), np.uint8)
    sheet = draw_sheet(evaluate({}, photos, reference, pictures={"noise": list(given)}))
    views = np.lib.stride_tricks.sliding_window_view(sheet[..., 0], (128, 128))
    for picture in given:
        assert (views[..., 0, :] == picture[0, :, 0]).all(axis=-1).any()


def test_faults_are_found_against_the_reference() -> None:
    fine = {"border": 1.0, "saturation": 0.01}
    fine |= {f"grid_{p}_{kind}": value for p in (2, 4, 8) for kind, value in (("levels", 0.1), ("ratio", 1.0))}
    assert find_faults(fine, fine) == []
    bad = fine | {"grid_4_levels": 6.0, "grid_4_ratio": 30.0, "border": 9.0, "saturation": 0.5}
    words = ("a grid of 4 px", "a border", "burnt")
    assert [fault.startswith(word) for fault, word in zip(find_faults(bad, fine), words, strict=True)] == [True] * 3


def test_command_leaves_a_report_and_lists_what_failed(
    tmp_path: Path, photos: dict[str, Pixels], painting: Pixels, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "photos").mkdir()
    for name, pixels in photos.items():
        save_image(Picture(pixels), tmp_path / "photos" / f"{name}.png")
    save_image(Picture(painting), tmp_path / "painting.png")
    good = write_identity(tmp_path / "good.onnx", "h", "w")
    fixed = write_identity(tmp_path / "fixed.onnx", 224, 224)
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    arguments = ["evaluate", str(good), str(fixed), str(tmp_path / "bad.onnx")]
    arguments += ["--style", str(tmp_path / "painting.png")]
    arguments += ["--photos", str(tmp_path / "photos"), "-o", str(tmp_path / "out"), "--size", "128"]
    arguments += ["--iterations", "2", "--style-size", "128", "--cache", str(tmp_path / "cache")]
    (tmp_path / "theirs").mkdir()
    save_image(Picture(255 - photos["chelsea"]), tmp_path / "theirs" / "chelsea.jpg")
    arguments += ["--pictures", f"theirs={tmp_path / 'theirs'}"]
    assert main(arguments) == 2
    assert "holds no picture of flower" in capsys.readouterr().err
    save_image(Picture(255 - photos["flower"]), tmp_path / "theirs" / "flower.png")
    (tmp_path / "theirs" / "chelsea.png").symlink_to(tmp_path / "theirs" / "chelsea.jpg")
    assert main(arguments) == 2
    assert "theirs holds several pictures called chelsea" in capsys.readouterr().err
    (tmp_path / "theirs" / "chelsea.png").unlink()
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert "bad.onnx cannot be opened as an ONNX model" in shown.err
    assert "fixed.onnx takes only pictures of 224×224 px" in shown.err
    assert "good is no better than the unstyled photo" in shown.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"report.md", "report.json", "sheet.png"}
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["models"][0]["terms"]["total"] == pytest.approx(report["baselines"][0]["terms"]["total"], rel=1e-4)
    assert set(report["models"][0]["terms"]) == set(FIGURES)
    assert [model["name"] for model in report["models"]] == ["good", "theirs"]
    assert report["models"][0]["neutral"] == pytest.approx({"distance": 1.0, "colors": 1.0, "kept": 1.0}, abs=1e-3)
    assert report["models"][0]["places"]["coverage"] == pytest.approx([1.0] * 3, abs=1e-2)
    assert "flat precision" in shown.out
    assert main(arguments) == 2
    assert "already holds a report" in capsys.readouterr().err


def test_help_shows_defaults_as_they_are_typed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Strengths to measure the models at. [default: 1.0]" in said
    assert "(" not in said.partition("--pictures")[2]


def test_the_painting_is_read_as_the_training_reads_it(tmp_path: Path) -> None:
    grain = np.random.default_rng(0).normal(0, 12, (640, 640, 3))
    canvas = np.kron([[60.0, 180.0], [140.0, 90.0]], np.ones((320, 320)))[..., None] + grain
    save_image(Picture(canvas.clip(0, 255).astype(np.uint8)), tmp_path / "canvas.png")
    (tmp_path / "photos").mkdir()
    save_image(load_image(PHOTOS["chelsea"]), tmp_path / "photos" / "chelsea.png")
    torch.save(random_state(depth=19), tmp_path / "vgg.pth")
    model = str(write_identity(tmp_path / "same.onnx", "height", "width"))
    totals, notes = [], list[str]()
    for kept in (None, True):
        options = Options(
            size=128, iterations=1, style_size=160, vgg=str(tmp_path / "vgg.pth"), grain=kept, cache=tmp_path / "cache"
        )
        report = evaluate_styles([model], tmp_path / "canvas.png", tmp_path / "photos", options, on_note=notes.append)
        totals.append(report.evaluation.baselines[-1].terms["total"])
    assert [note for note in notes if "grain" in note] == [
        f"{tmp_path / 'canvas.png'}: its grain, of which networks make a mesh, is smoothed; --grain keeps it"
    ]
    assert totals[0] != pytest.approx(totals[1], rel=1e-3)
