"""A training run: built, trained, recorded, resumed and loaded."""
