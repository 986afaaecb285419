"""The content's weight follows how much of the photo is kept."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fast_style.errors import InputError
from fast_style.losses import BOLD, VGG, PerceptualLoss, VGGWeights
from fast_style.losses.terms.content import Content, kept
from fast_style.training import Recipe, train_style
from fast_style.training.keeping import FIRST_FACTOR, GAIN, MOST_FACTOR, Keeping, kept_at
from tests.conftest import PAINTING, random_state


def test_a_photo_keeps_all_of_itself_and_its_negative_the_opposite() -> None:
    maps = torch.rand(2, 8, 5, 7)
    assert float(kept(maps, maps)) == pytest.approx(1.0)
    assert float(kept(-maps, maps)) == pytest.approx(-1.0)


def test_another_brightness_and_contrast_of_all_features_keeps_all() -> None:
    maps = torch.rand(1, 8, 5, 7)
    assert float(kept(3.0 * maps + torch.rand(1, 8, 1, 1), maps)) == pytest.approx(1.0)


def test_pictures_that_have_nothing_in_common_keep_nothing() -> None:
    torch.manual_seed(0)
    assert abs(float(kept(torch.randn(1, 64, 40, 40), torch.randn(1, 64, 40, 40)))) < 0.01


def test_pictures_of_a_batch_count_alike() -> None:
    first, second, photos = torch.rand(1, 8, 5, 7), 100.0 * torch.rand(1, 8, 5, 7), torch.rand(2, 8, 5, 7)
    alone = [float(kept(first, photos[:1])), float(kept(second, photos[1:]))]
    assert float(kept(torch.cat([first, second]), photos)) == pytest.approx(sum(alone) / 2)


def test_the_content_term_looks_at_its_own_layers(narrow_weights: VGGWeights) -> None:
    objective = replace(BOLD, content_layers=("relu1_2", "relu2_2"))
    loss = PerceptualLoss(VGG(narrow_weights, ["relu5_1"]), torch.rand(1, 3, 64, 64), objective)
    photo, picture = torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 64)
    targets, features = loss.content_targets(photo), loss.features(picture)
    shares = {"relu1_2": 0.5, "relu2_2": 0.5}
    expected = sum(share * float(kept(features[layer], targets[layer])) for layer, share in shares.items())
    content = loss.terms["content"]
    assert isinstance(content, Content)
    assert float(content.kept(features, targets)) == pytest.approx(expected)


def test_the_factor_rises_while_too_little_is_kept_and_falls_while_there_is_more() -> None:
    keeping = Keeping(0.5, styles=2)
    keeping.update(1, torch.tensor(0.2))
    assert float(keeping.factor(1)) == pytest.approx(FIRST_FACTOR * math.exp(GAIN * 0.3))
    assert float(keeping.factor(0)) == pytest.approx(FIRST_FACTOR)
    keeping.update(0, torch.tensor(0.9))
    assert float(keeping.factor(0)) == pytest.approx(FIRST_FACTOR * math.exp(-GAIN * 0.4))


@pytest.mark.parametrize(("seen", "factor"), [(-1.0, MOST_FACTOR), (1.0, 1.0)])
def test_the_factor_stays_between_the_objectives_own_weight_and_its_bound(seen: float, factor: float) -> None:
    keeping = Keeping(0.5)
    for _ in range(200):
        keeping.update(0, torch.tensor(seen))
    assert float(keeping.factor(0)) == pytest.approx(factor)


@given(asked=st.floats(0.3, 0.7), slope=st.floats(0.1, 0.2))
@settings(deadline=None)
def test_what_is_kept_comes_to_what_is_asked_for(asked: float, slope: float) -> None:
    keeping = Keeping(asked)
    shown = 0.0
    for _ in range(800):  # a network that keeps more the heavier its content is
        shown = min(1.0, 0.25 + slope * math.log(float(keeping.factor(0))))
        keeping.update(0, torch.tensor(shown))
    reachable = min(asked, 0.25 + slope * math.log(MOST_FACTOR))
    assert shown == pytest.approx(reachable, abs=0.01)


def test_a_stronger_style_is_asked_to_keep_less_and_a_hint_of_one_more() -> None:
    assert kept_at(0.45, 1.0) == pytest.approx(0.45)
    assert kept_at(0.45, 0.0) == 1.0
    assert kept_at(0.5, 16.0) == pytest.approx(0.0)
    assert kept_at(0.5, 100.0) == 0.0
    assert [round(kept_at(0.45, strength), 2) for strength in (0.25, 0.5, 2.0, 4.0)] == [0.61, 0.54, 0.35, 0.22]


@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_a_share_of_the_photo_that_there_is_not_is_refused(value: float) -> None:
    with pytest.raises(InputError, match=r"kept is .*; expected a number from 0 up to, not including, 1"):
        Recipe(kept=value)


def test_our_own_networks_keep_a_share_of_the_photo_and_the_peers_has_its_weights() -> None:
    assert {Recipe(name).kept for name in ("fast", "tiny", "fine")} == {0.4}
    assert Recipe("johnson").kept == 0.0


@pytest.fixture
def small(tmp_path: Path) -> Recipe:
    torch.save(random_state(), tmp_path / "narrow.pth")
    small = {"size": 96, "style_size": 96, "vgg": str(tmp_path / "narrow.pth"), "precision": "32", "sharpening": 0.0}
    return Recipe("tiny", steps=10, **small)


def learn(photos: Path, out: Path, recipe: Recipe) -> Path:
    options: dict[str, Any] = {"name": "s", "init": "scratch", "workers": 0, "accelerator": "cpu", "export": False}
    return train_style(PAINTING, photos, out, recipe=recipe, **options).checkpoint


def test_a_run_that_asks_for_more_of_the_photo_weighs_it_more(
    photo_folder: Path, tmp_path: Path, small: Recipe
) -> None:
    factors = []
    for asked in (0.05, 0.95):  # more and less than is ever kept by a network that has learned for ten steps
        checkpoint = learn(photo_folder, tmp_path / str(asked), replace(small, kept=asked))
        factors.append(float(torch.load(checkpoint, weights_only=True)["state_dict"]["keeping.levels"].exp()))
    assert factors[0] < FIRST_FACTOR < factors[1]


@pytest.mark.parametrize("asked", [0.0, 0.45])
def test_only_a_run_that_asks_for_it_has_such_a_column(
    asked: float, photo_folder: Path, tmp_path: Path, small: Recipe
) -> None:
    learn(photo_folder, tmp_path, replace(small, kept=asked))
    with (tmp_path / "s.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert ("kept" in row) == bool(asked)
