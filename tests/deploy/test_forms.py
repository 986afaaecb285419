"""The graph variants with fixed statistics, of files in fewer bits and of one size."""

from pathlib import Path

import pytest

from fast_style import Stylizer
from fast_style.cli.app import main
from fast_style.export.precision import psnr
from fast_style.images import Pixels, to_float


def exported(checkpoint: Path, out: Path, *options: object) -> Path:
    assert main(["export", str(checkpoint), "-o", str(out), *map(str, options)]) == 0
    return out


@pytest.mark.parametrize(("precision", "least"), [("fp16", 60.0), ("int8", 35.0)])
def test_a_file_in_fewer_bits_is_drawn_in_parts(
    precision: str, least: float, checkpoint: Path, photos: Path, frames: list[Pixels], tmp_path: Path
) -> None:
    reduced = exported(checkpoint, tmp_path / "r.onnx", "--precision", precision, "--photos", photos)
    image = to_float(frames[0])
    style = Stylizer(reduced, threads=1).network
    assert style.sees_parts
    assert psnr([style.fixed(style.measure(image)).floats(image)], [style.floats(image)]) >= least


def test_a_file_of_one_size_sees_whole_pictures_only(checkpoint: Path, tmp_path: Path) -> None:
    assert not Stylizer(exported(checkpoint, tmp_path / "one.onnx", "--size", "64x48")).network.sees_parts
