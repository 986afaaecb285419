from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from fast_style.export import export_onnx
from fast_style.networks import build_network


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Writes a network with the parts that it is trained without; once, as an export takes seconds."""

    @cache
    def write(name: str) -> Path:
        path = tmp_path_factory.mktemp("finished") / f"{name}.onnx"
        torch.manual_seed(0)
        network = build_network(name).eval()
        network.set_finish(coring=True, accents=True)
        export_onnx(network, path, metadata={"network": name})
        return path

    return write
