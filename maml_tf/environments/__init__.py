"""Environments whose rewards or dynamics a task sets."""
