"""Runs compared: curves, tables and a page. Nothing here needs TensorFlow."""
