"""What shows that a training has failed, what does not, and the figures that are kept."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from fast_style.errors import TrainingDivergedError
from fast_style.losses import VGG, LossTerms, Objective, PerceptualLoss, VGGWeights
from fast_style.training import Recipe
from fast_style.training.callbacks import GRACE_STEPS, Metrics, assert_healthy
from fast_style.training.module import StyleModule


@pytest.fixture
def module(narrow_weights: VGGWeights) -> StyleModule:
    """A module after a step that went well."""
    objective = Objective(content_layers=("relu2_2",), style_layers=("relu1_1",))
    loss = PerceptualLoss(VGG(narrow_weights, ["relu2_2"]), torch.rand(1, 3, 32, 32), objective)
    module = StyleModule(Recipe("tiny", objective=objective, kept=0.0), [loss], card={})
    module.latest = terms(style=0.5)
    module.latest_output = torch.rand(1, 3, 16, 16)
    return module


def terms(*, style: float) -> LossTerms:
    return LossTerms({"content": torch.tensor(1.0), "style": torch.tensor(style)}, {"content": 1.0, "style": 10.0})


def test_a_step_that_went_well_passes(module: StyleModule) -> None:
    assert_healthy(module, GRACE_STEPS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_is_named(module: StyleModule, value: float) -> None:
    module.latest = terms(style=value)
    with pytest.raises(TrainingDivergedError, match=rf"diverged at step 3: the loss is {value} \(style\)"):
        assert_healthy(module, 3)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_weight_that_is_not_finite_shows(module: StyleModule, value: float) -> None:
    with torch.no_grad():
        next(module.network.parameters())[0] = value
    with pytest.raises(TrainingDivergedError, match="a weight is not finite"):
        assert_healthy(module, 3)


BURNT = torch.zeros(1, 3, 10, 10).index_fill_(2, torch.arange(5), 1.0)


@pytest.mark.parametrize(
    ("pictures", "reason"),
    [(torch.full((1, 3, 8, 8), 0.4), "the pictures are of one color"), (BURNT, "100% of the pictures is black or")],
    ids=["of one color", "burnt out"],
)
def test_pictures_that_hold_nothing_of_their_photos_show_after_the_first_steps(
    module: StyleModule, pictures: Tensor, reason: str
) -> None:
    module.latest_output = pictures
    assert_healthy(module, GRACE_STEPS - 1)
    with pytest.raises(TrainingDivergedError, match=reason) as caught:
        assert_healthy(module, GRACE_STEPS)
    assert "Halve --learning-rate" in str(caught.value.hint)


@pytest.mark.parametrize("content", [b"", "step,total\n10,1\n".encode("utf-16"), b"step,total\n10,1\n"])
def test_figures_that_are_not_those_of_the_run_are_begun_anew(
    content: bytes, tmp_path: Path, module: StyleModule
) -> None:
    metrics = Metrics(tmp_path / "s.csv", every=10)
    metrics.path.write_bytes(content)
    trainer: Any = SimpleNamespace(is_global_zero=True, global_step=20)
    metrics.on_train_start(trainer, module)
    assert metrics.path.read_text() == ",".join(metrics.columns(module)) + "\n"


def test_flat_pictures_with_some_strokes_pass(module: StyleModule) -> None:
    pictures = torch.full((1, 3, 40, 40), 0.4)
    pictures[..., 10:12] = 0.5
    module.latest_output = pictures
    assert_healthy(module, GRACE_STEPS)
