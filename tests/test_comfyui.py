"""The node of ComfyUI, found and called as ComfyUI does it."""

import importlib.util
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from fast_style import Stylizer

FOLDER = Path(__file__).parents[1] / "examples/comfyui"


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The folder, loaded from its path under a name that is no package's, as ComfyUI loads custom nodes."""
    name = "/ComfyUI/custom_nodes/fast_style"
    spec = importlib.util.spec_from_file_location(name, FOLDER / "__init__.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, loaded)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.fixture
def node(module: ModuleType) -> Any:
    (kind,) = module.NODE_CLASS_MAPPINGS.values()
    return kind


def execute(node: Any, **given: Any) -> Tensor:
    """Call the node with the defaults of the inputs that are not given."""
    inputs = node.INPUT_TYPES()["required"]
    defaults = {name: options[0]["default"] for name, (_, *options) in inputs.items() if options}
    (image,) = getattr(node(), node.FUNCTION)(**{**defaults, **given})
    assert isinstance(image, Tensor)
    return image


def pictures() -> Tensor:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 64, 3), np.uint8)
    return torch.from_numpy(pixels).float() / 255


def test_every_node_has_a_name_and_takes_what_its_function_takes(module: ModuleType, node: Any) -> None:
    assert set(module.NODE_DISPLAY_NAME_MAPPINGS) == set(module.NODE_CLASS_MAPPINGS)
    assert node.RETURN_TYPES == ("IMAGE",)
    taken = set(inspect.signature(getattr(node, node.FUNCTION)).parameters) - {"self"}
    assert taken == set(node.INPUT_TYPES()["required"])


def test_each_picture_of_a_batch_is_painted_as_from_python(node: Any) -> None:
    given = pictures()
    kept = given.clone()
    painted = execute(node, image=given, style="udnie")
    assert painted.dtype == torch.float32
    assert torch.equal(given, kept)
    for photo, found in zip(given, painted, strict=True):
        expected = Stylizer("udnie")((photo * 255).round().byte().numpy())
        np.testing.assert_array_equal((found * 255).round().byte().numpy(), np.asarray(expected))


def test_a_mixture_with_a_strength_is_painted(node: Any) -> None:
    painted = execute(node, image=pictures()[:1], style="udnie:0.7,the-scream:0.3", strength=2.0, blend=0.5)
    photo = (pictures()[0] * 255).round().byte().numpy()
    expected = Stylizer("udnie:0.7,the-scream:0.3", strength=2.0)(photo, blend=0.5)
    np.testing.assert_array_equal((painted[0] * 255).round().byte().numpy(), np.asarray(expected))


def test_values_beyond_white_and_a_fourth_channel_do_no_harm(node: Any) -> None:
    plain = pictures()
    wide = torch.cat([plain, torch.zeros(2, 48, 64, 1)], dim=3)
    wide[0, :8] = 1.5
    plain[0, :8] = 1.0
    assert torch.equal(execute(node, image=wide), execute(node, image=plain))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"style": "stary-night"}, "'stary-night' is neither the name of a style nor a file; did you mean"),
        ({"style": "udnie-fine", "strength": 5.0}, "strength is 5; expected 0.25 to 4"),
    ],
)
def test_a_style_that_cannot_be_painted_is_said_before_anything_runs(
    given: dict[str, Any], said: str, node: Any
) -> None:
    assert node.VALIDATE_INPUTS(**given).startswith(said)


def test_a_style_that_another_node_gives_is_not_judged_before(node: Any) -> None:
    assert node.VALIDATE_INPUTS() is True
    assert node.VALIDATE_INPUTS(style="udnie", strength=1.0) is True
