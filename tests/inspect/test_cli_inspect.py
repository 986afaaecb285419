import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fast_style.cli import main
from fast_style.images import load_image, resize, save_image
from tests.inspect.small_networks import CAT


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("photos") / "cat.jpg"
    save_image(resize(load_image(CAT), (150, 100)), path)
    return str(path)


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.copy()


def run(capsys: pytest.CaptureFixture[str], *arguments: Any) -> tuple[int, str, str]:
    status = main(["inspect", *map(str, arguments)])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_help_lists_the_verbs_and_loads_no_torch() -> None:
    code = (
        "import sys; from fast_style.cli import main; s = main(['inspect', '--help']); "
        "main(['--help']); print(s, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for verb in ("features", "maximize", "classify", "gradcam", "layers"):
        assert f" {verb} " in out
    assert out.endswith("0 False\n")


def test_features_writes_a_grid_and_reports(capsys: pytest.CaptureFixture[str], photo: str, tmp_path: Path) -> None:
    out = tmp_path / "grid.png"
    arguments = ("features", photo, "--layer", "relu2_1", "--top", "3", "-o", out)
    status, text, _ = run(capsys, *arguments)
    assert status == 0
    assert "relu2_1: 128×50×75" in text
    assert opened(out).width > 3 * 128
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert "exists" in err
    assert "--force" in err


def test_several_layers_make_a_strip(capsys: pytest.CaptureFixture[str], photo: str, tmp_path: Path) -> None:
    out = tmp_path / "strip.png"
    status, text, _ = run(capsys, "features", photo, "--layer", "relu1_1,relu2_1", "--layer", "relu3_1", "-o", out)
    assert status == 0
    assert "relu3_1: 256×25×37" in text
    assert out.exists()


def test_classify_prints_a_table(capsys: pytest.CaptureFixture[str], photo: str) -> None:
    status, text, _ = run(capsys, "classify", photo)
    assert status == 0
    assert "Egyptian cat" in text


def test_gradcam_draws_the_class_beside_the_photo(
    capsys: pytest.CaptureFixture[str], photo: str, tmp_path: Path
) -> None:
    out = tmp_path / "cam.png"
    arguments = ("gradcam", photo, "--class", "tabby", "--size", "64", "-o", out)
    status, text, _ = run(capsys, *arguments)
    assert status == 0
    assert re.match(r"tabby \(281\) \d+\.\d%: hottest at \d+% across, \d+% down\n", text)
    assert opened(out).width > 128


def test_maximize_from_noise_and_by_photo(capsys: pytest.CaptureFixture[str], photo: str, tmp_path: Path) -> None:
    quick = ("--steps", "1", "--iterations", "2", "--layer", "conv1_2")
    status, text, _ = run(capsys, "maximize", "--channel", 3, *quick, "-o", tmp_path / "n.png")
    assert status == 0
    assert re.match(r"conv1_2 channel 3: root mean square \d+, unclamped \d+\n", text)
    status, text, _ = run(capsys, "maximize", photo, *quick, "-o", tmp_path / "p.png")
    assert text.count("root mean square") == 10


def test_layers_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    status, text, _ = run(capsys, "layers")
    assert status == 0
    assert "64×224×224" in text
    assert re.search(r"conv1_1 +FrozenConv2d +64×224×224 +1,792", text)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("features", "PHOTO", "--layer", "relu9_1", "-o", "OUT.png"), "did you mean"),
        (("features", "PHOTO", "--layer", "relu1_1", "--channel", "64", "-o", "OUT.png"), "no channel 64"),
        (("features", "PHOTO", "--layer", "relu1_1", "-o", "OUT.bmp"), "cannot write"),
        (("features", "PHOTO", "--layer", ",", "-o", "OUT.png"), "no layer"),
        (("features", "PHOTO", "--layer", "relu1_1", "-o", "nowhere/OUT.png"), "does not exist"),
        (("features", "none.jpg", "--layer", "relu1_1", "-o", "OUT.png"), "does not exist"),
        (("maximize", "--layer", "conv1_1", "-o", "OUT.png"), "no channel to maximize"),
        (("maximize", "--layer", "conv1_1", "--channel", "64", "-o", "OUT.png"), "no channel 64"),
        (("maximize", "--layer", "conv1_1", "--channel", "1", "--rate", "-1", "-o", "OUT.png"), "rate is -1"),
        (("classify", "PHOTO", "--model", "caffe-vgg19"), "no classes"),
        (("classify", "PHOTO", "--top", "0"), "at least 1"),
        (("gradcam", "PHOTO", "--class", "tabbi", "-o", "OUT.png"), "did you mean 'tabby'"),
        (("gradcam", "PHOTO", "--layer", "_fc", "-o", "OUT.png"), "has no map"),
        (("features", "PHOTO", "--layer", "relu1_1", "--top", "0", "-o", "OUT.png"), "top is 0"),
        (("layers", "--model", "resnet18", "--pooling", "max"), "has its own pooling"),
        (("layers", "--model", "weights.pth"), "no VGG weights"),
        (("fetures",), "fetures"),
    ],
)
def test_a_mistake_is_an_error_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str],
    photo: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, *[photo if a == "PHOTO" else a for a in arguments])
    assert status == 2
    assert err.startswith("error: ")
    assert message in err
    assert list(tmp_path.iterdir()) == []
