"""The units of a balanced loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

# Smallest unit: a flat painting and flat photos score zero, which nothing can be divided by.
_SMALLEST_UNIT = 1e-12


@dataclass(frozen=True)
class Calibration:
    """What unstyled photos score: the units in which the ``balanced`` terms are measured, all above 0.

    Attributes:
        content: Variance of the photos' features, by content layer.
        style: Squared distance of the photos' Gram matrices to the painting's, by style layer.
        tv: Total variation of the photos.
        others: Units of the other terms, by name and part.
    """

    content: Mapping[str, float] = field(default_factory=dict)
    style: Mapping[str, float] = field(default_factory=dict)
    tv: float = 1.0
    others: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def measured(cls, units: Mapping[str, Mapping[str, float]]) -> Calibration:
        """Take what each term measured, by the term's name and part."""
        safe = {
            name: {part: max(value, _SMALLEST_UNIT) for part, value in parts.items()} for name, parts in units.items()
        }
        return cls(safe.pop("content", {}), safe.pop("style", {}), safe.pop("tv", {"tv": 1.0})["tv"], safe)

    def units(self, name: str) -> Mapping[str, float]:
        """Return a term's units by part, empty for a term that was not measured."""
        known = {"content": self.content, "style": self.style, "tv": {"tv": self.tv}, **self.others}
        return known.get(name, {})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for checkpoints and cards; ``others`` only if there are any."""
        return {key: value for key, value in asdict(self).items() if key != "others" or value}
