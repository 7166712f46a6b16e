"""Guides made on the backend: pixels out of strokes, and masks widened and softened."""
