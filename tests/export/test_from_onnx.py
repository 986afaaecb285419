"""Reading a network back from a file: what is refused, and in whose words."""

from pathlib import Path

import pytest

from fast_style.errors import InputError, ModelError
from fast_style.export import network_from_onnx
from fast_style.model.checksum import read_checked
from fast_style.model.passes_graph import join_passes
from fast_style.model.table import with_metadata
from fast_style.styles.catalog import find_style


def test_many_styles_with_their_passes_inside_are_refused_by_that_reason(tmp_path: Path) -> None:
    path = tmp_path / "joined.onnx"
    path.write_bytes(with_metadata(join_passes([read_checked(find_style("ten").path)] * 2), {}))
    with pytest.raises(ModelError, match=r"^it paints in passes by itself") as caught:
        network_from_onnx(path)
    assert caught.value.hint == "Give the file that it was made from."


def test_a_file_without_names_holds_no_style_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "nameless.onnx"
    path.write_bytes(with_metadata(read_checked(find_style("udnie-tiny").path), {"styles": None}))
    network_from_onnx(path)
    with pytest.raises(InputError, match="there is no style 'nonsense' in the file"):
        network_from_onnx(path, style="nonsense")
