"""The package's version, which runs, checkpoints and SavedModels record."""

import importlib
import platform

VERSION = '1.0.0'

# What a report of a fault should name.
_LIBRARIES = (
  'tensorflow',
  'tensorflow-cpu',
  'tf-keras',
  'tensorflow-probability',
  'tf-agents',
  'numpy',
  'gymnasium',
  'mujoco',
)


def describe() -> str:
  """Returns one line: the versions of the package and of its libraries."""
  # Its import takes a third of the time of --help, which does not need it.
  metadata = importlib.import_module('importlib.metadata')
  parts = [f'{platform.python_implementation()} {platform.python_version()}']
  for name in _LIBRARIES:
    try:
      parts.append(f'{name} {metadata.version(name)}')
    except metadata.PackageNotFoundError:
      pass  # Such as tf-keras beside TensorFlow 2.15.
  return f'maml_tf {VERSION} ({", ".join(parts)})'
