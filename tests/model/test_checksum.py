"""Damaged files: refused by their checksum, in our words and no others."""

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from fast_style import Stylizer
from fast_style.cli import main
from fast_style.errors import ModelError
from fast_style.export import network_from_onnx
from fast_style.model import describe_model, open_graph
from fast_style.model.checksum import CHECKSUM_KEY, read_checked
from fast_style.styles.catalog import shipped_styles

SHIPPED = [style.path for style in shipped_styles()]
STYLE = next(path for path in SHIPPED if path.stem == "starry-night-tiny")


def damaged(content: bytes, number: int) -> bytes:
    """Cut the bytes off somewhere, flip one or forty bits, or blank a range."""
    random = np.random.default_rng(number)
    start, length = (int(value) for value in random.integers((1, 1), (len(content), 5000)))
    if number % 4 == 0:
        return content[:start]
    data = bytearray(content)
    if number % 4 == 1:
        data[start : start + length] = bytes(len(data[start : start + length]))
    for place in random.integers(0, len(data), (0, 0, 1, 40)[number % 4]):
        data[place] ^= 1 << int(random.integers(0, 8))
    return bytes(data)


def test_every_damaged_copy_is_refused_and_nothing_foreign_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    content, path = STYLE.read_bytes(), tmp_path / "damaged.onnx"
    for number in range(60):
        path.write_bytes(damaged(content, number))
        with pytest.raises(ModelError) as caught:
            Stylizer(path)
        assert str(path) in str(caught.value)
        assert caught.value.hint
    assert capfd.readouterr() == ("", "")


def test_the_command_names_the_damage_and_the_remedy(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "flipped.onnx"
    path.write_bytes(damaged(STYLE.read_bytes(), 2))
    assert main(["info", str(path)]) == 2
    assert capfd.readouterr() == (
        "",
        f"error: {path} is damaged: its content does not match its checksum\n"
        "hint: Copy or download the file again, or export the style again.\n",
    )


@pytest.mark.parametrize("open_file", [open_graph, describe_model, network_from_onnx, read_checked])
def test_every_door_checks(open_file: object, tmp_path: Path) -> None:
    path = tmp_path / "flipped.onnx"
    path.write_bytes(damaged(STYLE.read_bytes(), 2))
    assert callable(open_file)
    open_file(STYLE)
    with pytest.raises(ModelError, match="does not match its checksum"):
        open_file(path)


@pytest.mark.parametrize("wrong", [CHECKSUM_KEY, "fast-style"], ids=["the checksum's name", "the producer"])
def test_damage_to_either_sign_of_the_checksum_is_seen(wrong: str, tmp_path: Path) -> None:
    content, path = STYLE.read_bytes(), tmp_path / "x.onnx"
    where = content.rindex(wrong.encode()) if wrong == CHECKSUM_KEY else content.index(wrong.encode())
    path.write_bytes(content[:where] + b"x" + content[where + 1 :])
    with pytest.raises(ModelError, match="does not match its checksum"):
        open_graph(path)


def test_the_checksum_is_of_all_bytes_before_its_entry() -> None:
    content = STYLE.read_bytes()
    entry = onnx.load(STYLE).metadata_props[-1]
    assert entry.key == CHECKSUM_KEY
    body = content[: content.rindex(CHECKSUM_KEY.encode()) - 4]
    assert entry.value == hashlib.sha256(body).hexdigest()
    assert len(content) - len(body) == 4 + len(CHECKSUM_KEY) + 2 + 64


def test_a_file_of_ours_from_before_there_were_checksums_is_taken(tmp_path: Path) -> None:
    model = onnx.load(STYLE)
    model.producer_name = "pytorch"
    del model.metadata_props[-1]
    onnx.save(model, tmp_path / "old.onnx")
    frame = np.random.default_rng(0).integers(0, 256, (32, 40, 3), dtype=np.uint8)
    np.testing.assert_array_equal(Stylizer(tmp_path / "old.onnx").frame(frame), Stylizer(STYLE).frame(frame))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_style_has_a_checksum_and_its_card_knows_the_file(path: Path) -> None:
    content, card = read_checked(path), json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert content[-64 - 2 - len(CHECKSUM_KEY) :].startswith(CHECKSUM_KEY.encode())
    assert card["sha256"] == hashlib.sha256(content).hexdigest()
    assert card["bytes"] == len(content)
