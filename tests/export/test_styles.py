"""Several styles in one file, proved against the network in torch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call

from fast_style import Stylizer
from fast_style.errors import VerificationError
from fast_style.export import export_styles, network_from_onnx, verify_styles
from fast_style.networks import StyleSets, build_network


@pytest.fixture
def styles() -> tuple[torch.nn.Module, StyleSets]:
    torch.manual_seed(0)
    network = build_network("tiny").eval()
    sets = StyleSets(network, ("one", "other"))
    with torch.no_grad():
        # Of weights that are equal, as they are before any training, an exporter keeps one.
        for weight in (*network.parameters(), *sets.parameters()):
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return network, sets


def test_the_file_paints_as_the_network_does(styles: tuple[torch.nn.Module, StyleSets], tmp_path: Path) -> None:
    network, sets = styles
    path = tmp_path / "two.onnx"
    held = dict(zip(sets.names, sets.values, strict=True))
    verification = export_styles(network, held, path, metadata={"network": "tiny"})  # type: ignore[arg-type]
    assert {"one", "other", "mixture", "default", "1x3x97x131", "tile"} <= verification.differences.keys()
    assert verification.largest < 1e-3
    style = Stylizer(path).network
    assert style.styles == ("one", "other")
    image = torch.rand(1, 3, 48, 64)
    for number, name in enumerate(sets.names):
        with torch.no_grad():
            expected = functional_call(network, sets.one(number), image).clamp(0, 1).numpy()
        np.testing.assert_allclose(style.mixed({name: 1.0}).floats(image.numpy()), expected, atol=1e-4)
    again = network_from_onnx(path)
    with torch.no_grad():
        torch.testing.assert_close(again(image), functional_call(network, sets.one(0), image), atol=1e-5, rtol=0)


def test_another_set_than_the_files_is_found_out(styles: tuple[torch.nn.Module, StyleSets], tmp_path: Path) -> None:
    network, sets = styles
    held = dict(zip(sets.names, sets.values, strict=True))
    export_styles(network, held, tmp_path / "two.onnx", metadata={"network": "tiny"})  # type: ignore[arg-type]
    with torch.no_grad():
        sets.values[1] += 0.2
    differences = verify_styles(network, sets, tmp_path / "two.onnx")  # type: ignore[arg-type]
    assert differences["one"] < 1e-3 < differences["other"]


def test_the_callers_network_is_left_as_it_was(styles: tuple[torch.nn.Module, StyleSets], tmp_path: Path) -> None:
    network, sets = styles
    before = {name: values.clone() for name, values in network.state_dict().items()}
    held = {"other": sets.values[1]}
    export_styles(network.train(), held, tmp_path / "one.onnx", metadata={"network": "tiny"})  # type: ignore[arg-type]
    assert network.training
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())


def test_no_file_is_left_if_the_proof_fails(
    styles: tuple[torch.nn.Module, StyleSets], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fast_style.export.verify.TOLERANCE", 1e-12)
    network, sets = styles
    held = dict(zip(sets.names, sets.values, strict=True))
    with pytest.raises(VerificationError):
        export_styles(network, held, tmp_path / "x.onnx", metadata={})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
