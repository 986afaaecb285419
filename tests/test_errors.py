from fast_style.errors import did_you_mean


def test_the_nearest_known_name_is_suggested() -> None:
    assert did_you_mean("stary-night", ["udnie", "starry-night"]) == "; did you mean 'starry-night'?"


def test_nothing_is_suggested_if_nothing_is_near_enough_or_known() -> None:
    assert did_you_mean("zzz", ["starry-night", "udnie"], cutoff=0.6) == ""
    assert did_you_mean("zzz", []) == ""
