"""Foundations of all rooms: data, parameters, distributions, randomness."""
