"""A run's settings as hyper-parameters: what experiment trackers show."""

import ast

from maml_tf.run import config_record


def read(root_dir: str) -> dict[str, bool | int | float | str]:
  """Returns the settings that a run has recorded, by name.

  Numbers, bools and texts are such; other values are texts as gin has them. A
  new run has no record of its loggers' own settings while these are made.

  Args:
    root_dir: The run's folder.
  """
  recorded = config_record.recorded(root_dir) or {}
  return {name: of_text(value) for name, value in recorded.items()}


def of_text(value: str) -> bool | int | float | str:
  """Returns a value as a number, bool or text.

  Args:
    value: As a gin file has it.
  """
  try:
    parsed = ast.literal_eval(value)
  except (ValueError, SyntaxError):  # A reference or a macro.
    return value
  return parsed if isinstance(parsed, bool | int | float | str) else value
