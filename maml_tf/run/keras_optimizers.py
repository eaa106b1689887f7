"""Keras' optimizers and schedules as names that a config can use.

`@Adam()`, `@tf.keras.optimizers.SGD()`, `@PiecewiseConstantDecay()` and
`@tf.keras.optimizers.schedules.CosineDecay()` are known. Those of
`tf.keras.optimizers.legacy` are not: their short names would be the same.
"""

from collections.abc import Container
import functools
import inspect
from typing import Any

import gin
import numpy as np
import tensorflow as tf

from maml_tf.core import checks

_MODULE = 'tf.keras.optimizers'
# Settings of newer versions of Keras, and what older ones do. A run records all
# settings, and may go on with an older one.
_NEWER = {'adaptive_epsilon': False}


def _register() -> None:
  """Registers each public class once."""
  for optimizer in _subclasses(
    tf.keras.optimizers, tf.keras.optimizers.Optimizer
  ):
    gin.external_configurable(
      _checked(optimizer), name=optimizer.__name__, module=_MODULE
    )
  schedules = tf.keras.optimizers.schedules
  for schedule in _subclasses(schedules, schedules.LearningRateSchedule):
    gin.external_configurable(
      schedule, name=schedule.__name__, module=f'{_MODULE}.schedules'
    )


def _subclasses(module: Any, base: type) -> list[type]:
  """Returns the subclasses of a class that a module exports."""
  exported = (getattr(module, name) for name in sorted(dir(module)))
  return [
    value
    for value in exported
    if isinstance(value, type) and issubclass(value, base) and value is not base
  ]


def _checked(optimizer: type) -> Any:
  """Returns a function that creates an optimizer of a checked learning rate."""
  signature = inspect.signature(optimizer)

  @functools.wraps(optimizer, updated=())
  def create(*args, **kwargs):
    kwargs = _without_newer(optimizer.__name__, signature.parameters, kwargs)
    arguments = signature.bind_partial(*args, **kwargs).arguments
    if 'learning_rate' in arguments:
      _check(f'{optimizer.__name__}.learning_rate', arguments['learning_rate'])
    return optimizer(*args, **kwargs)

  create.__signature__ = signature
  return create


def _without_newer(
  name: str, parameters: Container[str], settings: dict[str, Any]
) -> dict[str, Any]:
  """Drops settings that this Keras lacks if it does what they say anyway.

  Raises:
    ValueError: It cannot do what one of them says.
  """
  lacking = {n for n in settings if n in _NEWER and n not in parameters}
  for setting in sorted(lacking):
    if settings[setting] != _NEWER[setting]:
      raise ValueError(
        f'{name}.{setting} is {settings[setting]!r}, which the Keras of'
        f' TensorFlow {tf.__version__} lacks: leave it out, or use a newer'
        ' TensorFlow'
      )
  return {n: v for n, v in settings.items() if n not in lacking}


def _check(name: str, learning_rate: Any) -> None:
  """Raises ValueError unless it is a positive number or a schedule."""
  schedule = tf.keras.optimizers.schedules.LearningRateSchedule
  if isinstance(learning_rate, schedule) or tf.is_tensor(learning_rate):
    return
  if isinstance(learning_rate, int | float | np.number):
    checks.number(name, learning_rate, above=0)
    return
  raise ValueError(
    f'{name} is {learning_rate!r}: give a number above 0, or a schedule such as'
    ' @PiecewiseConstantDecay()'
  )


_register()
