"""Families of tasks whose dynamics are TensorFlow operations."""
