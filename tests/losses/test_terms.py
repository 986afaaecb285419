"""The seam that a new loss goes through: named terms, their weights, targets and units."""

import pytest
import torch
from torch import Tensor

from fast_style.losses import VGG, Objective, PerceptualLoss, VGGWeights, loss
from fast_style.losses.loss import WeightedSum
from fast_style.losses.term import Seen, Term, Weight
from fast_style.losses.terms.border import Border

NARROW = Objective(content_layers=("relu2_2",), style_layers=("relu1_1", "relu2_1"))


class MeanColor(Term):
    """A term that nothing knows of: the painting's mean color; it is shown a layer, too."""

    name = "mean_color"
    against = "painting"

    def __init__(self, weight: float = 3.0) -> None:
        super().__init__(Weight(weight, first=0.0, until=0.5), {"relu1_1": 1.0}, layers=("relu1_1",), balanced=True)

    def take_painting(self, painting: Seen) -> None:
        self.register_buffer("target", painting.image.mean((0, 2, 3)), persistent=False)

    def distance(self, part: str, seen: Seen) -> Tensor:
        assert seen.features[part].shape[-2:] == seen.image.shape[-2:]
        return (seen.image.mean((0, 2, 3)) - self.get_buffer("target")).square().sum()


@pytest.fixture
def vgg(narrow_weights: VGGWeights) -> VGG:
    return VGG(narrow_weights, ["relu2_2"])


def test_a_constant_weight_is_the_same_throughout() -> None:
    assert [Weight(12.0).at(progress) for progress in (0.0, 0.3, 1.0)] == [12.0] * 3


def test_a_rising_weight_rises_along_a_line_and_stays() -> None:
    weight = Weight(8.0, first=0.25, until=0.5)
    assert [weight.at(progress) for progress in (0.0, 0.25, 0.5, 1.0)] == pytest.approx([2.0, 5.0, 8.0, 8.0])


def test_the_total_is_the_sum_of_the_weighted_values(vgg: VGG) -> None:
    judge = PerceptualLoss(vgg, torch.rand(1, 3, 32, 32), Objective(**{**vars(NARROW), "weighting": "classic"}))
    photo, image = torch.rand(2, 1, 3, 32, 32)
    found = judge(image, judge.content_targets(photo))
    assert found.weights == {"content": 1.0, "style": 12.0, "tv": 0.4}
    assert {**found.weighted} == {name: found.weights[name] * value for name, value in found.values.items()}
    assert found.total == sum(found.weighted.values())
    assert found.figures() == {"total": found.total, **found.values}


def test_a_new_term_is_one_class_and_its_weight(vgg: VGG, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "PICTURE_TERMS", (*loss.PICTURE_TERMS, lambda objective: MeanColor()))
    painting, photo, image = torch.rand(3, 1, 3, 32, 32)
    judge = PerceptualLoss(vgg, painting, NARROW)
    calibration = judge.calibrate([photo])
    found = judge(image, judge.content_targets(photo))
    distances = [(picture - painting).mean((0, 2, 3)).square().sum().item() for picture in (image, photo)]
    assert calibration["mean_color"] == {"relu1_1": pytest.approx(distances[1], rel=1e-3)}
    assert found.figures()["mean_color"] == pytest.approx(distances[0] / distances[1], rel=1e-3)
    without = PerceptualLoss(vgg, painting, NARROW, calibration=calibration)
    del without.terms["mean_color"]  # type: ignore[attr-defined]
    plain = without(image, without.content_targets(photo)).total
    assert found.total.item() == pytest.approx(plain.item() + 3 * found.figures()["mean_color"], rel=1e-5)
    early = judge(image, judge.content_targets(photo), progress=0.0)
    assert early.total.item() == pytest.approx(plain.item(), rel=1e-5)
    again = PerceptualLoss(vgg, painting, NARROW, calibration=calibration)
    assert again(image, again.content_targets(photo)).figures() == found.figures()


class Size(Term):
    """The height of what it is shown."""

    def __init__(self, name: str, *, whole: bool) -> None:
        self.name, self.whole = name, whole
        super().__init__(Weight(1.0))

    def distance(self, part: str, seen: Seen) -> Tensor:
        return torch.tensor(float(seen.image.shape[2]))


def test_a_term_sees_the_window_or_the_whole_and_the_network_runs_once(vgg: VGG) -> None:
    judge = PerceptualLoss(vgg, torch.rand(1, 3, 32, 32), NARROW)
    judge.calibrate([torch.rand(1, 3, 32, 32)])
    more = WeightedSum(vgg, [*judge.terms.values(), Size("part", whole=False), Size("all", whole=True)])
    photo, image = torch.rand(2, 1, 3, 48, 48)
    window = ..., slice(8, 40), slice(8, 40)
    targets = more.content_targets(photo, window=window)
    sizes = []
    handle = vgg.register_forward_pre_hook(lambda module, arguments: sizes.append(arguments[0].shape[-1]))
    found = more(image, targets, window=window).figures()
    handle.remove()
    assert (found["part"], found["all"], sizes) == (32, 48, [32])


def test_scoring_through_a_window_equals_scoring_the_part(vgg: VGG) -> None:
    judge = PerceptualLoss(vgg, torch.rand(1, 3, 32, 32), NARROW)
    judge.calibrate([torch.rand(1, 3, 32, 32)])
    photo, image = torch.rand(2, 1, 3, 48, 48)
    window = ..., slice(3, 35), slice(10, 42)
    found = judge(image, judge.content_targets(photo, window=window), window=window)
    assert found.figures() == judge(image[window], judge.content_targets(photo[window])).figures()


def test_a_term_without_weight_is_left_out_but_every_picture_has_its_three_figures(vgg: VGG) -> None:
    objective = Objective(content_layers=("relu2_2",), style_layers=("relu1_1",), tv_weight=0.0)
    judge = PerceptualLoss(vgg, torch.rand(1, 3, 32, 32), objective)
    assert list(WeightedSum(vgg, [*judge.terms.values(), Border(0.0)]).terms) == ["content", "style", "tv"]


def test_a_term_under_another_weight_shares_its_targets(vgg: VGG) -> None:
    style = PerceptualLoss(vgg, torch.rand(1, 3, 32, 32), NARROW).terms["style"]
    half = style.with_weight(Weight(6.0))
    assert (style.weight.at(1.0), half.weight.at(1.0)) == (12.0, 6.0)
    assert half.get_buffer("gram_relu1_1") is style.get_buffer("gram_relu1_1")
    half.double()
    assert style.get_buffer("gram_relu1_1").dtype == torch.float64
