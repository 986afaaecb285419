"""Faster convolutions for the perceptual network."""
