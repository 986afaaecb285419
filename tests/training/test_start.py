"""What a run starts from."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from PIL import Image
from torch import Tensor

from fast_style.cli import main
from fast_style.errors import ImageError, InputError, StyleNotFoundError
from fast_style.export import network_from_onnx
from fast_style.images import Picture, load_image
from fast_style.losses import LossTerms, Objective, PerceptualLoss, load_vgg
from fast_style.styles.catalog import find_style, shipped_styles
from fast_style.training import Checkpoint, Recipe, paintings, train_style
from fast_style.training.start import FINALISTS, count_drawn, load_start, nearest_start, nearest_style_of
from tests.conftest import PAINTING


@pytest.fixture
def photo() -> Iterator[Tensor]:
    state = torch.random.get_rng_state()
    torch.manual_seed(0)
    yield torch.rand(1, 3, 8, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    torch.random.set_rng_state(state)


CAT = PAINTING.parent / "chelsea.png"


@pytest.mark.parametrize(
    ("paintings", "options", "ready"),
    [
        ([PAINTING], "--network tiny", True),
        ([PAINTING], "--network tiny --init scratch", False),
        ([PAINTING], "--network johnson", False),  # of which no style ships
        ([PAINTING, CAT], "--network tiny", False),
    ],
)
def test_one_painting_starts_from_a_shipped_style_unless_told_otherwise(
    paintings: list[Path], options: str, ready: bool, photo_folder: Path, tmp_path: Path, narrow_file: Path
) -> None:
    small = "--steps 1 --size 48 --batch 1 --style-size 64 --workers 0 --accelerator cpu --precision 32 --name s"
    given = [*map(str, paintings), str(photo_folder), "-o", str(tmp_path), "--vgg", str(narrow_file)]
    assert main(["train", *given, *small.split(), *options.split()]) == 0
    tiny = {style.name for style in shipped_styles() if style.card["network"] == "tiny"}
    assert (json.loads((tmp_path / "s.json").read_text()).get("init") in tiny) == ready


@pytest.mark.parametrize("name", ["the-scream-tiny", "wheat-field-tiny", "starry-night-tiny"])
def test_the_nearest_style_to_a_styles_own_picture_is_that_style(narrow_file: Path, photo: Tensor, name: str) -> None:
    objective = Objective(weighting="balanced", content_weight=0.0, tv_weight=0.0)
    with torch.no_grad():
        picture = network_from_onnx(find_style(name).path)(photo)
    loss = PerceptualLoss(load_vgg(str(narrow_file), objective), picture, objective)
    loss.calibrate([photo])
    assert nearest_start(loss, [photo], network="tiny").name == name


def test_the_nearest_style_is_that_of_the_nearest_strokes_whatever_its_colors(photo: Tensor) -> None:
    names = [style.name for style in shipped_styles() if style.card["network"] == "tiny"]
    scored = iter(enumerate(names))

    class Loss:
        """The further down the list, the better the strokes and the worse the colors."""

        def content_targets(self, photo: Tensor) -> Tensor:
            return photo

        def __call__(self, picture: Tensor, target: Tensor, *, photo: Tensor) -> LossTerms:
            place = next(scored)[0]
            values = {"content": 5.0 * place, "style": 9.0 - place, "color": 9.0 * place, "places": 9.0 - place}
            return LossTerms({name: torch.tensor(value) for name, value in values.items()}, dict.fromkeys(values, 1.0))

    assert nearest_start(Loss(), [photo], network="tiny").name == names[-1]  # type: ignore[arg-type]


def test_all_styles_are_drawn_on_the_first_photo_and_the_best_on_the_others(
    narrow_file: Path, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = PerceptualLoss(load_vgg(str(narrow_file), Objective()), photo, Objective())
    drawn: list[int] = []

    def scores(loss: PerceptualLoss, photos: list[Tensor], networks: dict[str, object]) -> dict[str, float]:
        drawn.append(len(photos) * len(networks))
        # The first style is the best on the first photo alone, the second one on all of them.
        worse = 9 if len(drawn) == 2 else 0
        return {name: float(place or worse) for place, name in enumerate(networks)}

    monkeypatch.setattr("fast_style.training.start._scores", scores)
    names = [style.name for style in shipped_styles() if style.card["network"] == "tiny"]
    assert nearest_start(loss, [photo] * 4, network="tiny").name == names[1]
    assert drawn == [len(names), 3 * FINALISTS]
    assert sum(drawn) == count_drawn("tiny", 4)


def test_a_network_without_shipped_styles_has_no_nearest(narrow_file: Path, photo: Tensor) -> None:
    loss = PerceptualLoss(load_vgg(str(narrow_file), Objective()), photo, Objective())
    loss.calibrate([photo])
    with pytest.raises(InputError, match="no style of the network 'johnson' ships"):
        nearest_start(loss, [photo], network="johnson")


def test_a_run_tells_and_records_the_nearest_style_it_started_from(
    photo_folder: Path, tmp_path: Path, narrow_file: Path
) -> None:
    small = {"steps": 1, "size": 48, "style_size": 64, "precision": "32", "vgg": str(narrow_file)}
    recipe = Recipe("tiny", **small, learning_rate=1e-9)
    notes: list[str] = []
    outcome = train_style(
        PAINTING,
        photo_folder,
        tmp_path,
        recipe=recipe,
        accelerator="cpu",
        workers=0,
        on_note=notes.append,
    )
    assert outcome.card is not None
    started = json.loads(outcome.card.read_text())["init"]
    assert started in {style.name for style in shipped_styles() if style.card["network"] == "tiny"}
    nearest = notes[-1]
    assert nearest == f"starting from {started}, the nearest style"
    assert outcome.model is not None
    expected, found = (network_from_onnx(path).state_dict() for path in (find_style(started).path, outcome.model))
    # The finish is decided anew by each painting.
    assert expected.keys() ^ found.keys() <= {"end.coring.energy", "end.accents.spread"}
    for key in expected.keys() & found.keys():
        torch.testing.assert_close(found[key], expected[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["udnie", "night-cafe", "composition-vii", "shipwreck"])
def test_the_nearest_set_to_a_styles_own_picture_is_that_set(narrow_file: Path, photo: Tensor, name: str) -> None:
    file = find_style("ten").path
    with torch.no_grad():
        picture = network_from_onnx(file, style=name)(photo)
    loss = PerceptualLoss(load_vgg(str(narrow_file), Objective()), picture, Objective())
    loss.calibrate([photo])
    start = nearest_style_of(load_start(file, network="fast"), loss, [photo])
    assert (start.name, start.style) == (f"ten.onnx#{name}", name)
    with torch.no_grad():
        assert torch.equal(start.network(photo), picture)


def test_a_run_may_start_from_one_of_the_styles_in_a_file(photo: Tensor) -> None:
    chosen = load_start("ten#udnie", network="fast").network
    expected = network_from_onnx(find_style("ten").path, style="udnie")
    with torch.no_grad():
        assert torch.equal(chosen(photo), expected(photo))
    with pytest.raises(InputError, match="no style 'udny' in the file; did you mean 'udnie'"):
        load_start("ten#udny", network="fast")
    with pytest.raises(StyleNotFoundError, match="is neither the name of a style nor a file"):
        load_start("n" * 300 + "#udnie", network="fast")


def test_the_nearest_style_is_found_without_a_runtime_and_each_file_is_parsed_once(
    narrow_file: Path, photo: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed: list[int] = []
    parse = onnx.load_model_from_string

    def count(content: bytes) -> onnx.ModelProto:
        parsed.append(len(content))
        return parse(content)

    monkeypatch.setattr(onnx, "load_model_from_string", count)
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *_, **__: pytest.fail("a session was opened"))
    loss = PerceptualLoss(load_vgg(str(narrow_file), Objective()), photo, Objective())
    loss.calibrate([photo])
    nearest_start(loss, [photo], network="tiny")
    assert len(parsed) == len([style for style in shipped_styles() if style.card["network"] == "tiny"])


def test_a_path_with_a_number_sign_is_a_file_whose_style_may_be_named_too(tmp_path: Path) -> None:
    path = tmp_path / "#1" / "ten#.onnx"
    path.parent.mkdir()
    path.write_bytes(find_style("ten").path.read_bytes())
    start = load_start(path, network="fast")
    assert (start.name, start.style) == ("ten#.onnx", None)
    assert load_start(f"{path}#udnie", network="fast").style == "udnie"


def test_a_painting_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def count(path: Path, **options: bool) -> Picture:
        read.append(path)
        return load_image(path, **options)

    monkeypatch.setattr(paintings, "load_image", count)
    painting = paintings.read_painting(
        PAINTING, "s", None, previous=None, keep_frame=False, grain=True, details={"artist": "nobody"}
    )
    assert read == [PAINTING]
    assert painting.facts["style_size"] == max(painting.image.shape[-2:])
    assert painting.facts["artist"] == "nobody"


def test_a_painting_called_after_a_detail_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "title.png"
    path.write_bytes(PAINTING.read_bytes())
    painting = paintings.read_painting(
        path, "s", None, previous=None, keep_frame=False, grain=True, details={"title": "A"}
    )
    assert painting.facts["title"] == "A"


def test_a_painting_whose_file_is_not_named_in_utf_8_is_described_in_text(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    path.write_bytes(PAINTING.read_bytes())
    painting = paintings.read_painting(path, "s", None, previous=None, keep_frame=False, grain=True)
    assert painting.facts["file"] == "caf\\udce9.png"
    json.dumps(painting.facts, ensure_ascii=False).encode()


def test_a_painting_with_strong_grain_is_smoothed_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    planes = np.kron([[60.0, 180.0], [140.0, 90.0]], np.ones((320, 320)))[..., None].repeat(3, axis=2)
    said = {}
    for name, deviation in (("canvas", 12.0), ("planes", 0.5)):
        grain = np.random.default_rng(0).normal(0, deviation, planes.shape)
        Image.fromarray((planes + grain).clip(0, 255).astype(np.uint8)).save(tmp_path / f"{name}.png")
        for kept in (None, True, False):
            painting = paintings.read_painting(
                tmp_path / f"{name}.png", "s", 640, previous=None, keep_frame=True, grain=kept, details={}
            )
            said[name, kept] = painting.notes, float(painting.image[..., 20:300, 20:300].std())
            assert painting.facts["smoothed"] == (kept is False or (name == "canvas" and kept is None))
    assert said["canvas", None][1] == said["canvas", False][1] < 0.5 * said["canvas", True][1]
    assert said["planes", None] == said["planes", True]
    (note,) = said["canvas", None][0]
    assert note.endswith("canvas.png: its grain, of which networks make a mesh, is smoothed; --grain keeps it")


def test_a_resumed_run_smooths_a_painting_of_large_forms_as_the_first_did(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    forms = random.integers(40, 216, (4, 5, 1)).repeat(160, 0).repeat(160, 1)
    canvas = forms + random.normal(0, 18, (640, 800, 3))
    Image.fromarray(canvas.clip(0, 255).astype(np.uint8)).save(tmp_path / "canvas.png")

    def read(previous: Checkpoint | None) -> paintings.Painting:
        options: dict[str, Any] = {"keep_frame": False, "grain": None, "details": {}}
        return paintings.read_painting(tmp_path / "canvas.png", "s", None, previous=previous, **options)

    first = read(None)
    assert first.facts["smoothed"]
    assert first.facts["style_size"] < 640
    card = {"name": "s", "styles": ["s"], "paintings": {"s": first.facts}}
    again = read(Checkpoint(tmp_path / "s.ckpt", 1, Recipe(), card, {}, {}))
    assert (again.facts, again.notes) == (first.facts, ())
    torch.testing.assert_close(again.image, first.image, rtol=0, atol=0)


def test_a_long_painting_is_learned_at_a_size_at_which_it_is_wide_enough(tmp_path: Path) -> None:
    squares = np.random.default_rng(0).integers(0, 256, (2, 100, 3), np.uint8)
    Image.fromarray(squares.repeat(20, 0).repeat(20, 1)).save(tmp_path / "ribbon.png")

    def read(size: int | None) -> paintings.Painting:
        options: dict[str, Any] = {"previous": None, "keep_frame": False, "grain": None, "details": {}}
        return paintings.read_painting(tmp_path / "ribbon.png", "ribbon", size, **options)

    assert read(2000).image.shape == (1, 3, 40, 2000)
    with pytest.raises(ImageError, match="at --style-size 700 it has 700×14 px; each side needs at least 16 px"):
        read(700)
