"""Faster convolutions for the transformer networks."""

__all__: list[str] = []
