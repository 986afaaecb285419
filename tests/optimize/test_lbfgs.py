import itertools

import torch
from torch import Tensor

from fast_style.optimize import lbfgs
from fast_style.optimize.lbfgs import Evaluate


def quadratic(matrix: Tensor, target: Tensor) -> Evaluate:
    def evaluate(x: Tensor) -> tuple[float, Tensor]:
        gradient = matrix @ (x - target)
        return 0.5 * torch.dot(x - target, gradient).item(), gradient

    return evaluate


def rosenbrock(x: Tensor) -> tuple[float, Tensor]:
    x = x.detach().double().requires_grad_()
    value = (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()
    (gradient,) = torch.autograd.grad(value, x)
    return value.item(), gradient


def test_minimum_of_a_quadratic_is_found() -> None:
    random = torch.Generator().manual_seed(0)
    root = torch.randn(12, 12, generator=random, dtype=torch.double)
    target = torch.rand(12, generator=random, dtype=torch.double)
    evaluate = quadratic(root @ root.T + torch.eye(12), target)
    *_, x = lbfgs(evaluate, torch.zeros_like(target))
    assert torch.allclose(x, target, atol=1e-4)
    assert evaluate(x)[0] < 1e-8


def test_minimum_of_rosenbrocks_valley_is_found() -> None:
    *_, x = lbfgs(rosenbrock, torch.zeros(6, dtype=torch.double))
    assert torch.allclose(x, torch.ones(6, dtype=torch.double), atol=1e-3)


def test_minimum_outside_the_bounds_is_found_on_them() -> None:
    target = torch.tensor([2.0, 0.5, -1.0], dtype=torch.double)
    evaluate = quadratic(torch.eye(3, dtype=torch.double), target)
    *_, x = lbfgs(evaluate, torch.full((3,), 0.5, dtype=torch.double))
    assert torch.allclose(x, torch.tensor([1.0, 0.5, 0.0], dtype=torch.double), atol=1e-6)


def test_objective_falls_strictly_and_every_picture_is_within_bounds() -> None:
    start, _ = rosenbrock(torch.full((6,), 0.2))
    values = [start]
    for x in lbfgs(rosenbrock, torch.full((6,), 0.2, dtype=torch.double)):
        assert x.min() >= 0.0
        assert x.max() <= 1.0
        values.append(rosenbrock(x)[0])
    assert all(after < before for before, after in itertools.pairwise(values))


def test_minimum_is_left_alone() -> None:
    evaluate = quadratic(torch.eye(3), torch.full((3,), 0.5))
    assert list(lbfgs(evaluate, torch.full((3,), 0.5))) == []


def test_start_is_not_changed() -> None:
    start = torch.full((3,), 0.5)
    next(lbfgs(quadratic(torch.eye(3), torch.zeros(3)), start))
    assert torch.equal(start, torch.full((3,), 0.5))
