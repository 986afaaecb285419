import pytest
import torch

from fast_style.device import find_device
from fast_style.errors import DeviceError


def test_unknown_device_is_an_error() -> None:
    with pytest.raises(DeviceError, match="cannot use the device 'warp'"):
        find_device("warp")


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
def test_without_a_gpu_auto_is_the_cpu_and_asking_for_one_is_an_error() -> None:
    assert find_device("auto", apple=True) == find_device("cpu") == torch.device("cpu")
    with pytest.raises(DeviceError, match="torch sees no GPU"):
        find_device("gpu")


@pytest.mark.parametrize(
    ("name", "apple", "expected"), [("auto", False, "cpu"), ("auto", True, "mps"), ("gpu", False, "mps")]
)
def test_apples_gpu_is_taken_by_auto_only_if_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, name: str, apple: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device(name, apple=apple).type == expected
