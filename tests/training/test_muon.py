import pytest
import torch
from torch import Tensor, nn

from fast_style.training.muon import Muon, orthogonalize


@pytest.mark.parametrize("shape", [(16, 16), (8, 72), (48, 12), (1, 5)])
def test_singular_values_become_about_one_and_directions_stay(shape: tuple[int, int]) -> None:
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalize(matrix) @ right.T
    diagonal = turned.diagonal()
    # The smallest directions of a square matrix may not have arrived after five iterations.
    arrived = diagonal[values > 0.05 * values[0]]
    assert arrived.min() > 0.6
    assert arrived.max() < 1.3
    assert (turned - diagonal.diag()).abs().max() < 1e-4


def test_a_zero_gradient_moves_nothing() -> None:
    weight = nn.Parameter(torch.ones(4, 3, 1, 1))
    weight.grad = torch.zeros_like(weight)
    Muon([weight], 0.1).step()
    assert torch.equal(weight, torch.ones(4, 3, 1, 1))


def test_convolutions_take_the_steps_of_torchs_muon() -> None:
    gradients = gradients_of((6, 10), steps=4)
    ours, theirs = nn.Parameter(torch.zeros(6, 10, 1, 1)), nn.Parameter(torch.zeros(6, 10))
    # torch scales by 0.2 of lr and computes in bfloat16.
    optimizers = [
        Muon([ours], 0.02),
        torch.optim.Muon([theirs], 0.05, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
    ]
    for gradient in gradients:
        ours.grad, theirs.grad = gradient.view(6, 10, 1, 1).clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours.detach().flatten(1), theirs.detach(), atol=4e-3, rtol=0.05)


@pytest.mark.parametrize("shape", [(12,), (12, 1, 5, 5)])
def test_scales_and_depthwise_filters_take_the_steps_of_torchs_adam(shape: tuple[int, ...]) -> None:
    ours, theirs = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.ones(shape))
    optimizers = [
        Muon([ours], 0.01),
        torch.optim.Adam([theirs], 0.01, betas=(0.9, 0.99)),
    ]
    for gradient in gradients_of(shape, steps=5):
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        for optimizer in optimizers:
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_a_step_of_a_convolution_is_half_the_learning_rate() -> None:
    weight = nn.Parameter(torch.zeros(64, 64, 3, 3))
    (weight.grad,) = gradients_of(weight.shape, steps=1)
    Muon([weight], 0.01).step()
    assert float(weight.detach().square().mean().sqrt()) == pytest.approx(0.005, rel=0.3)


def gradients_of(shape: tuple[int, ...], *, steps: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for _ in range(steps)]
