"""Random actions of any action spec."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
from tf_agents.specs import array_spec
from tf_agents.typing import types


def draw(
  action_spec: types.NestedArraySpec,
  generators: Sequence[np.random.Generator],
  num_each: int,
) -> types.NestedArray:
  """Draws actions, uniform or standard normal.

  Args:
    action_spec: A nest of array specs.
    generators: B of them, one for each task.
    num_each: E, the number of actions to draw from each.

  Returns:
    A nest of arrays [B * E, ...].
  """
  return tf.nest.map_structure(
    lambda spec: np.concatenate(
      [_draw_part(spec, rng, (num_each, *spec.shape)) for rng in generators]
    ),
    action_spec,
  )


def _draw_part(spec, rng, shape):
  if spec.dtype == np.bool_:
    return rng.integers(0, 2, shape).astype(np.bool_)
  spec = array_spec.BoundedArraySpec.from_spec(spec)
  low, high = spec.minimum, spec.maximum
  if np.issubdtype(spec.dtype, np.integer):
    return rng.integers(low, high, shape, spec.dtype, endpoint=True)
  # The bounds of an unbounded spec are the limits of its type.
  limit = np.finfo(spec.dtype).max
  bounded = (low > -limit) & (high < limit)
  uniform = rng.uniform(
    np.where(bounded, low, 0), np.where(bounded, high, 1), shape
  )
  normal = np.clip(rng.standard_normal(shape), low, high)
  return np.where(bounded, uniform, normal).astype(spec.dtype)
