"""The script that trains one network on many paintings, driven as a user would."""

from __future__ import annotations

import json
import runpy
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fast_style import Stylizer
from fast_style.export import network_from_onnx
from fast_style.images import load_image, to_float
from fast_style.networks import restore_network
from fast_style.styles import find_style
from tests.conftest import random_state

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_trunk"


def small(paintings: Path) -> list[str]:
    """As small as a run can be: the crops, the paintings, and the perceptual network, which lies beside them."""
    return ["--size", "128", "--style-size", "128", "--vgg", str(paintings.parent / "narrow.pth")]


def command(paintings: Path, *words: object) -> list[str]:
    return [sys.executable, "-u", *map(str, (SCRIPT, paintings, *words)), "--network", "tiny", *small(paintings)]


def run(paintings: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(paintings, *words), capture_output=True, text=True, check=False)


def train(paintings: Path, *words: object, minutes: float = 0.05) -> str:
    done = run(paintings, *words, "--minutes", minutes)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(monkeypatch: pytest.MonkeyPatch, paintings: Path, *words: object) -> str:
    """What the script says as it ends with an error, in this process."""
    monkeypatch.setattr(sys, "argv", command(paintings, *words)[2:])
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    return str(caught.value.code)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    root, random = tmp_path_factory.mktemp("trunk"), np.random.default_rng(0)
    for folder, names in (("paintings", ("calm", "wild")), ("photos", ("a", "b", "c"))):
        (root / folder).mkdir()
        for name in names:
            blocks = random.integers(0, 255, (12, 12, 3), np.uint8)
            Image.fromarray(blocks).resize((288, 288)).save(root / folder / f"{name}.jpg")
    torch.save(random_state(), root / "narrow.pth")
    return root / "paintings", root / "photos", root / "out"


def test_a_trunk_goes_on_and_a_style_of_it_is_published(folders: tuple[Path, Path, Path]) -> None:
    paintings, photos, out = folders
    train(paintings, photos, "-o", out)
    first = torch.load(out / "trunk.pt", weights_only=True)
    sets = {key.split(".")[1] for key in first["average"] if key.startswith("sets.")}
    assert sets == {"calm", "wild"}
    assert "steps" in train(paintings, photos, "-o", out)  # its minutes are over
    assert torch.load(out / "trunk.pt", weights_only=True)["step"] == first["step"]
    train(paintings, photos, "-o", out, "--bands", "0.6", "--kept", "0.9", minutes=0.1)
    again = torch.load(out / "trunk.pt", weights_only=True)
    assert again["step"] > first["step"]
    assert again["keeping"]["levels"].shape == (2,)
    assert not list(out.glob("*.onnx"))

    own = out / "own"
    facts = out / "facts.toml"
    facts.write_text('[wild]\ntitle = "Wild"\nlicence = "public domain"\n')
    train(paintings, photos, "-o", own, "--only", "wild", "--start", out / "trunk.pt", "--cool", "--facts", facts)
    card = json.loads((own / "wild-tiny.json").read_text())
    assert (card["painting"]["title"], card["painting"]["licence"]) == ("Wild", "public domain")
    assert card["init"] == "trunk.pt"
    assert card["verification"]["largest_difference"] < 1e-3
    picture = Stylizer(own / "wild-tiny.onnx")(Image.open(photos / "a.jpg"))
    assert picture.size == (288, 288)

    # Nothing of the run's own is left in a mean that takes all from what it began with.
    words = (paintings, photos, "-o", own, "--only", "wild", "--minutes", "0", "--cool", "--mix", out / "trunk.pt", "0")
    assert run(*words).returncode == 0
    before = torch.load(out / "trunk.pt", weights_only=True)["average"]
    published = dict(network_from_onnx(own / "wild-tiny.onnx").named_parameters())
    torch.testing.assert_close(published["down.conv.weight"], before["shared.down.conv.weight"], atol=1e-5, rtol=1e-4)
    assert json.loads((own / "wild-tiny.json").read_text())["training"]["steps"] == card["training"]["steps"]


def test_a_strength_is_learned_and_all_styles_are_published_in_one_file(folders: tuple[Path, Path, Path]) -> None:
    paintings, photos, out = folders
    both = out / "both"
    train(paintings, photos, "-o", both, "--strengths", "--cool", "--batch", "2")
    style = Stylizer(both / "both.onnx")
    assert style.styles == ("calm", "wild")
    photo = Image.open(photos / "a.jpg")
    alone = Stylizer(both / "wild-tiny.onnx")(photo)
    together = style(photo, styles={"wild": 1.0})
    assert np.abs(np.asarray(together, np.int16) - np.asarray(alone, np.int16)).max() <= 1
    assert np.abs(np.asarray(style(photo, strength=4.0), np.int16) - np.asarray(style(photo), np.int16)).max() > 0
    card = json.loads((both / "both.json").read_text())
    assert card["paintings"]["calm"]["file"] == "calm.jpg"


def test_a_small_network_learns_to_draw_as_a_fine_one(folders: tuple[Path, Path, Path]) -> None:
    paintings, photos, out = folders
    (teachers := out / "teachers").mkdir(parents=True)
    shutil.copy(find_style("udnie-fine").path, teachers / "wild-fine.onnx")
    arguments = (paintings, photos, "-o", out / "pupil", "--only", "wild", "--teacher", teachers)
    train(*arguments)
    photo = torch.from_numpy(to_float(load_image(photos / "a.jpg").pixels))
    wanted = network_from_onnx(teachers / "wild-fine.onnx")(photo)

    def distance() -> float:
        stored = torch.load(out / "pupil" / "trunk.pt", weights_only=True)["weights"]
        weights = {key.removeprefix("shared.").removeprefix("sets.wild."): value for key, value in stored.items()}
        with torch.no_grad():
            return float((restore_network("tiny", weights)(photo) - wanted).abs().mean())

    early = distance()
    for _ in range(12):  # so many steps are few on a slow machine
        run(*arguments, "--minutes", "0.1")
        if distance() < 0.9 * early:
            break
    assert distance() < 0.9 * early
    refused = run(*arguments, "--cool")
    assert refused.returncode == 2
    assert "--teacher makes a start" in refused.stderr
    refused = run(*arguments, "--bands", "2")
    assert refused.returncode == 2
    assert "--bands is 2.0; expected a share from 0 to 1" in refused.stderr


@pytest.mark.parametrize(("name", "minutes"), [("the-scream-tiny", 0.05), ("the-scream", 5)])  # a fortieth of it
def test_what_ships_is_trained_and_copied_by_one_script(
    name: str, minutes: float, folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    paintings, photos, _ = folders
    (mine := tmp_path / "paintings").mkdir()
    shutil.copy(paintings / "wild.jpg", mine / "the-scream.jpg")
    (shipped := tmp_path / "checkpoints").mkdir()
    ten = shipped / "ten.onnx"
    shutil.copy(find_style("ten").path, ten)
    words = [SCRIPT.with_name("train_zoo"), mine, photos, "--runs", tmp_path / "runs", "--checkpoints", shipped]
    words += ["--only", name, "--minutes", minutes, *small(paintings)]
    done = subprocess.run([sys.executable, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in shipped.iterdir()} == {"ten.onnx", f"{name}.onnx", f"{name}.json"}
    card = json.loads((shipped / f"{name}.json").read_text())
    assert (card["recipe"]["steady_weight"], card["painting"]["artist"]) == (25, "Edvard Munch")
    assert card["init"] == ("ten.onnx" if name == "the-scream" else "trunk.pt")
    if name == "the-scream":  # halfway between where it began and where it ended
        began = runpy.run_path(str(SCRIPT))["read_start"](ten, torch.device("cpu"))["average"]
        ended = torch.load(tmp_path / "runs" / name / "trunk.pt", weights_only=True)["average"]
        network = network_from_onnx(shipped / f"{name}.onnx")
        for key, value in network.named_parameters():
            if (place := f"shared.{key}") in ended:
                torch.testing.assert_close(value, (began[place] + ended[place]) / 2, atol=1e-6, rtol=1e-4)
                assert not torch.equal(began[place], ended[place])


@pytest.mark.parametrize(
    ("paintings", "photos", "words"), [("photos", "nowhere", "nowhere"), ("nowhere", "photos", "holds no JPEG")]
)
def test_a_folder_without_pictures_is_named(
    folders: tuple[Path, Path, Path], paintings: str, photos: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folders[0].parent
    said = refusal(monkeypatch, root / paintings, root / photos)
    assert said.startswith("error: ")
    assert words in said


def test_a_trunk_that_cannot_be_read_is_named(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    trunk = tmp_path / "trunk.pt"
    trunk.write_text("text")
    failed = run(*folders[:2], "-o", tmp_path / "out", "--start", trunk)
    assert failed.returncode == 1
    assert failed.stderr == f"error: {trunk} cannot be read, or is no trunk of 'tiny'\n"


@pytest.mark.parametrize(
    ("file", "share"), [("nowhere.pt", "0.5"), ("trunk.pt", "half"), ("trunk.pt", "1.5"), ("text.pt", "0.5")]
)
def test_a_mean_with_what_is_no_trunk_is_refused_before_anything_is_trained(
    file: str, share: str, folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save({"step": 0, "average": {}}, tmp_path / "trunk.pt")
    (tmp_path / "text.pt").write_text("text")
    given = tmp_path / file
    said = refusal(monkeypatch, *folders[:2], "-o", tmp_path / "out", "--cool", "--mix", given, share)
    assert said == f"error: --mix {given} {share} is no trunk and a share from 0 to 1"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["title =", 'wild = "Wild"', "wild = 1"], ids=["broken", "a text", "a number"])
def test_facts_that_cannot_be_read_stop_a_run_before_it_trains(
    text: str, folders: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "facts.toml"
    facts.write_text(text)
    said = refusal(monkeypatch, *folders[:2], "-o", tmp_path / "out", "--facts", facts)
    assert said.startswith(f"error: {facts} holds no facts")
    assert not (tmp_path / "out").exists()


def test_ctrl_c_saves_and_the_same_command_goes_on(folders: tuple[Path, Path, Path], tmp_path: Path) -> None:
    def stop() -> int:
        words = command(*folders[:2], "-o", tmp_path)
        with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            # A run that goes on says from where before.
            assert any(line.startswith("training") for line in running.stdout)
            running.send_signal(signal.SIGINT)
            assert "stopped at step" in running.stderr.read()
            assert running.wait() == 1
        step: int = torch.load(tmp_path / "trunk.pt", weights_only=True)["step"]
        return step

    first = stop()
    assert stop() >= first
