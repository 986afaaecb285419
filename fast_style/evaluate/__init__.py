"""How good a style is: objective against the reference, quality, speed, flicker, and the report.

``quality`` and ``flicker`` need no torch, so nothing is imported here.
"""
