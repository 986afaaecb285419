"""What a file says of its passes."""

import pytest

from fast_style.errors import ModelError
from fast_style.model.passes import STRENGTH_KEY, strength_in


def test_a_file_that_does_not_say_its_strength_has_strength_1() -> None:
    assert strength_in({}) == 1
    assert strength_in({STRENGTH_KEY: "0.6"}) == 0.6


@pytest.mark.parametrize("text", ["", "strong", "nan", "inf", "0", "-1", "100"])
def test_a_strength_that_cannot_be_used_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match="expected a number above 0 and below 100"):
        strength_in({STRENGTH_KEY: text})
