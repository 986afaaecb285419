"""How good a style is: objective against the reference, quality, speed, flicker, and the report."""
