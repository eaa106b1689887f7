"""Gymnasium's environments and spaces as TF-Agents'."""
