"""Adapters as files: what comes back, and what is refused."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from fast_style.errors import FileError, ModelError
from fast_style.styles.adapter import Adapter, load_adapter, save_adapter


@pytest.fixture
def adapter() -> Adapter:
    values = np.random.default_rng(0).standard_normal((2, 40)).astype(np.float32)
    return Adapter("mine", "0" * 64, values, {"painting": {"title": "Ä"}})


def test_an_adapter_comes_back_as_it_was(adapter: Adapter, tmp_path: Path) -> None:
    save_adapter(adapter, tmp_path / "mine.safetensors")
    found = load_adapter(tmp_path / "mine.safetensors")
    np.testing.assert_array_equal(found.values, adapter.values)
    assert (found.name, found.base, found.card) == (adapter.name, adapter.base, adapter.card)


@pytest.mark.parametrize("card", [[], {"paintings": []}, {"paintings": {"mine": []}}, {"recipe": "udnie"}])
def test_a_card_that_cannot_be_read_is_left_out(adapter: Adapter, tmp_path: Path, card: Any) -> None:
    save_adapter(replace(adapter, card=card), tmp_path / "mine.safetensors")
    assert load_adapter(tmp_path / "mine.safetensors").card == {}


@pytest.mark.parametrize("at", [3, 9, -1, -300])
def test_damage_is_told_in_our_words(adapter: Adapter, tmp_path: Path, at: int) -> None:
    path = tmp_path / "mine.safetensors"
    save_adapter(adapter, path)
    content = bytearray(path.read_bytes())
    content[at] ^= 0x55
    path.write_bytes(content)
    with pytest.raises(ModelError, match="damaged"):
        load_adapter(path)


@pytest.mark.parametrize("name", ["/tmp/other", "../other", "a\\b", ".hidden", "", "a\nb"])
def test_a_name_that_would_lead_to_another_folder_is_refused(adapter: Adapter, tmp_path: Path, name: str) -> None:
    save_adapter(replace(adapter, name=name), tmp_path / "mine.safetensors")
    with pytest.raises(ModelError, match="is not the name of a file"):
        load_adapter(tmp_path / "mine.safetensors")


def test_values_of_a_type_that_numpy_has_not_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save_tensors

    facts = {"format": "1", "name": "mine", "base": "0", "sha256": "0"}
    for kind in (torch.float8_e4m3fn, torch.bfloat16):
        save_tensors({"set": torch.zeros(2, 5).to(kind)}, tmp_path / "mine.safetensors", metadata=facts)
        with pytest.raises(ModelError, match="not a"):
            load_adapter(tmp_path / "mine.safetensors")


def test_a_changed_value_is_refused(adapter: Adapter, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_adapter(adapter, path)
    content = bytearray(path.read_bytes())
    content[-2] ^= 0x01
    path.write_bytes(content)
    with pytest.raises(ModelError, match="checksum"):
        load_adapter(path)


@pytest.mark.parametrize("shape", [(1, 2, 5), (3, 5), (5,)])
def test_values_that_are_no_set_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = tmp_path / "mine.safetensors"
    facts = {"format": "1", "name": "mine", "base": "0", "sha256": "0"}
    save_file({"set": np.zeros(shape, np.float32)}, path, metadata=facts)
    with pytest.raises(ModelError, match="not a set of scales and shifts"):
        load_adapter(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_file({"weight": np.zeros(3, np.float32)}, path)
    with pytest.raises(ModelError, match="not an adapter of fast-style"):
        load_adapter(path)
    path.write_bytes(b"\x80\x04}.")
    with pytest.raises(ModelError, match="damaged or not an adapter"):
        load_adapter(path)
    with pytest.raises(ModelError, match="No such file"):
        load_adapter(tmp_path / "none.safetensors")


def test_a_later_format_asks_for_an_update(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    facts = {"format": "2", "name": "mine", "base": "0", "sha256": "0"}
    save_file({"set": np.zeros((1, 2, 5), np.float32)}, path, metadata=facts)
    with pytest.raises(ModelError, match="reads up to 1"):
        load_adapter(path)


@pytest.mark.parametrize("format", ["", "-1", "1.0", "²", "9" * 5000])
def test_a_format_that_is_no_number_is_refused(tmp_path: Path, format: str) -> None:
    path = tmp_path / "mine.safetensors"
    facts = {"format": format, "name": "mine", "base": "0", "sha256": "0"}
    save_file({"set": np.zeros((1, 2, 5), np.float32)}, path, metadata=facts)
    with pytest.raises(ModelError, match="not an adapter of fast-style"):
        load_adapter(path)


def test_a_file_that_cannot_be_written_leaves_nothing(adapter: Adapter, tmp_path: Path) -> None:
    with pytest.raises(FileError):
        save_adapter(adapter, tmp_path / "missing" / "mine.safetensors")
    assert list(tmp_path.iterdir()) == []
