"""Faster convolutions for the perceptual network."""

__all__: list[str] = []
