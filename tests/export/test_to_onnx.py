import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from fast_style.errors import VerificationError
from fast_style.export import export_onnx, network_from_onnx, to_onnx, verify_onnx
from fast_style.export.verify import record_statistics
from fast_style.model.checksum import CHECKSUM_KEY, PRODUCER, read_checked
from fast_style.networks import NETWORKS, TransformerNetwork, build_network
from fast_style.networks.realtime import RealtimeNetwork
from fast_style.networks.transformer import Places


def build(name: str, seed: int = 1) -> TransformerNetwork:
    """Make a network, with the parts that it is trained without if it can have them."""
    torch.manual_seed(seed)
    network = build_network(name)
    if isinstance(network, RealtimeNetwork):
        network.set_finish(coring=True, accents=True)
    return network


@pytest.fixture(scope="module", params=list(NETWORKS))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    path = tmp_path_factory.mktemp("export") / f"{request.param}.onnx"
    network, about = build(request.param), {"name": "test", "painting_license": "public domain"}
    export_onnx(network, path, metadata={**about, "network": request.param})
    assert network.training
    return request.param, path


def test_the_graph_keeps_its_contract(exported: tuple[str, Path]) -> None:
    _, path = exported
    model = onnx.load(path)
    (image,), (stylized,) = model.graph.input, model.graph.output
    assert (image.name, stylized.name) == ("image", "stylized")
    for value in (image, stylized):
        dims = value.type.tensor_type.shape.dim
        assert [dim.dim_param or dim.dim_value for dim in dims] == ["batch", 3, "height", "width"]
    operators = [node.op_type for node in model.graph.node]
    assert operators.count("InstanceNormalization") >= 5
    assert operators[-1] == "Clip"
    assert not {"ReduceMean", "Sqrt", "Loop", "If"} & set(operators)
    assert model.opset_import[0].version >= 17
    assert [entry.domain for entry in model.opset_import] == [""]
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert metadata["producer"] == "fast-style"
    assert metadata["painting_license"] == "public domain"
    assert list(path.parent.iterdir()) == [path]


def test_the_graph_holds_no_constant_twice(exported: tuple[str, Path]) -> None:
    _, path = exported
    constants = [tensor for tensor in onnx.load(path).graph.initializer if not tensor.name.startswith("network.")]
    contents = [(tensor.data_type, *tensor.dims, numpy_helper.to_array(tensor).tobytes()) for tensor in constants]
    assert len(set(contents)) == len(contents)


@pytest.mark.parametrize("part", ["coring", "accents"])
def test_a_file_says_which_parts_its_network_has_beyond_those_that_learn(part: str, exported: tuple[str, Path]) -> None:
    name, path = exported
    network, image = build(name).eval(), torch.rand(1, 3, 40, 56)
    read = network_from_onnx(path)
    with torch.no_grad():
        assert torch.equal(read(image), network(image))
        if isinstance(network, RealtimeNetwork):  # the other has no such parts
            network.set_finish(coring=part != "coring", accents=part != "accents")
            assert not torch.equal(read(image), network(image))


def test_the_file_ends_with_its_checksum(exported: tuple[str, Path]) -> None:
    _, path = exported
    assert onnx.load(path).metadata_props[-1].key == CHECKSUM_KEY
    assert onnx.load(path).producer_name == PRODUCER
    read_checked(path)


@pytest.mark.parametrize("shape", [(1, 3, 16, 16), (3, 3, 41, 23), (1, 3, 18, 300)])
def test_onnx_matches_torch_at_a_size_it_was_not_traced_at(
    exported: tuple[str, Path], shape: tuple[int, int, int, int]
) -> None:
    name, path = exported
    network, image = build(name).eval(), torch.rand(shape)
    session = onnxruntime.InferenceSession(path)
    (found,) = session.run(None, {"image": image.numpy()})
    with torch.no_grad():
        np.testing.assert_allclose(found, network(image).clamp(0, 1).numpy(), atol=1e-4)


def test_another_network_fails_the_verification(exported: tuple[str, Path]) -> None:
    name, path = exported
    with pytest.raises(VerificationError, match="differs from the network by up to"):
        verify_onnx(build(name, seed=2).eval(), path)


class Overshooting(TransformerNetwork):
    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(4.0))

    def transform(self, image: Tensor, places: Places) -> Tensor:
        return image * self.gain - 1.0


def test_the_graph_clamps_what_a_network_overshoots(tmp_path: Path) -> None:
    path = tmp_path / "over.onnx"
    assert export_onnx(Overshooting(), path, metadata={}).largest < 1e-6
    (found,) = onnxruntime.InferenceSession(path).run(
        None, {"image": np.linspace(0, 1, 768, dtype="f").reshape(1, 3, 16, 16)}
    )
    assert (found.min(), found.max()) == (0.0, 1.0)


def test_a_second_network_of_one_structure_keeps_its_weights_and_is_not_traced_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = np.linspace(0, 1, 768, dtype="f").reshape(1, 3, 16, 16)
    export_onnx(Overshooting(), tmp_path / "4.onnx", metadata={})
    monkeypatch.setattr("fast_style.export.to_onnx._trace", None)
    network = Overshooting()
    network.gain.data.fill_(2.0)
    export_onnx(network, tmp_path / "2.onnx", metadata={})
    for gain in (4, 2):
        (found,) = onnxruntime.InferenceSession(tmp_path / f"{gain}.onnx").run(None, {"image": image})
        np.testing.assert_allclose(found, (image * gain - 1).clip(0, 1), atol=1e-6)


class Ours(Overshooting):
    __module__ = "fast_style.networks.ours"


def test_a_later_run_takes_the_kept_trace_unless_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traced, trace = [], to_onnx._trace

    def count(network: TransformerNetwork) -> onnx.ModelProto:
        traced.append(network)
        return trace(network)

    def export() -> bytes:
        monkeypatch.setattr(to_onnx, "_TRACES", {})  # as in another process
        export_onnx(Ours(), tmp_path / "ours.onnx", metadata={"name": "ours"})
        return (tmp_path / "ours.onnx").read_bytes()

    monkeypatch.setattr(to_onnx, "_trace", count)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = export()
    assert export() == first
    assert len(traced) == 1
    (kept,) = (tmp_path / "fast-style" / "traces").iterdir()
    kept.write_bytes(kept.read_bytes()[:-9])
    assert export() == first
    assert len(traced) == 2
    assert export() == first
    assert len(traced) == 2
    for number in range(3):
        (old := kept.with_name(f"old{number}.onnx")).touch()
        os.utime(old, (number, number))
    kept.unlink()
    monkeypatch.setattr(to_onnx, "_KEPT_TRACES", 2)
    assert export() == first
    assert {path.name for path in kept.parent.iterdir()} == {kept.name, "old2.onnx"}


def test_a_cache_that_cannot_be_written_ends_no_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(to_onnx, "_TRACES", {})
    assert export_onnx(Ours(), tmp_path / "ours.onnx", metadata={}).largest < 1e-6


def test_weights_that_are_equal_are_stored_apart(tmp_path: Path) -> None:
    network = build("tiny")  # its normalizations begin alike
    export_onnx(network, tmp_path / "tiny.onnx", metadata={"network": "tiny"})
    stored = network_from_onnx(tmp_path / "tiny.onnx").state_dict()
    assert all(torch.equal(stored[key], value) for key, value in network.state_dict().items())


class Broken(Overshooting):
    def transform(self, image: Tensor, places: Places) -> Tensor:
        return super().transform(image, places) * float("nan")


def test_a_network_that_gives_nan_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(VerificationError):
        export_onnx(Broken(), tmp_path / "nan.onnx", metadata={})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", NETWORKS)
def test_statistics_are_recorded_of_each_normalization_and_leave_no_hook(name: str) -> None:
    network = build_network(name).eval()
    found = record_statistics(network, torch.rand(1, 3, 48, 40))
    channels = [len(part.weight) for part in network.modules() if isinstance(part, nn.InstanceNorm2d)]
    assert found.shape == (2, sum(channels))
    assert not any(part._forward_pre_hooks for part in network.modules())
