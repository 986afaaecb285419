"""The units of a balanced loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# Guards a division by the score of raw photos if they happen to score zero: a flat style on flat photos.
_SMALLEST_UNIT = 1e-12


@dataclass(frozen=True)
class Calibration:
    """What unstyled photos score: the units in which ``balanced`` weighs.

    Attributes:
        content: Variance of the features, by content layer.
        style: Squared Gram distance to the painting, by style layer.
        tv: Total variation.
        others: Units of further terms: by name, then by part.
    """

    content: Mapping[str, float] = field(default_factory=dict)
    style: Mapping[str, float] = field(default_factory=dict)
    tv: float = 1.0
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def measured(cls, units: Mapping[str, Mapping[str, float]]) -> Calibration:
        """Keep what each term measured, by the term's name and part; never zero."""
        safe = {
            name: {part: max(value, _SMALLEST_UNIT) for part, value in parts.items()} for name, parts in units.items()
        }
        return cls(safe.pop("content", {}), safe.pop("style", {}), safe.pop("tv", {"tv": 1.0})["tv"], safe)

    def units(self, name: str) -> Mapping[str, float]:
        """Return a term's units by part; a part that is missing counts as 1.0."""
        known = {"content": self.content, "style": self.style, "tv": {"tv": self.tv}, **self.others}
        return known.get(name, {})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for checkpoints and cards; ``others`` only if there are any."""
        return {key: value for key, value in asdict(self).items() if key != "others" or value}
