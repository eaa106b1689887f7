"""The package's version, which runs, checkpoints and SavedModels record."""

VERSION = '0.1.0'
