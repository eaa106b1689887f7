"""Environments whose rewards or dynamics depend on a task."""
