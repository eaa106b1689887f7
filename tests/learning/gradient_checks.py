"""Central differences, and the distance of a gradient from them."""

import numpy as np


def flat(arrays):
  """Returns all numbers of a list of arrays as one vector."""
  return np.concatenate([np.reshape(a, -1) for a in arrays])


def finite_differences(loss, parameters, step=1e-5):
  """The central differences of a function of a list of float64 arrays."""
  gradient = []
  for index, parameter in enumerate(parameters):
    assert parameter.dtype == np.float64
    for position in np.ndindex(parameter.shape):
      sides = []
      for sign in (1, -1):
        moved = [p.copy() for p in parameters]
        moved[index][position] += sign * step
        sides.append(float(loss(moved)))
      gradient.append((sides[0] - sides[1]) / (2 * step))
  return np.array(gradient)


def error(gradient, expected):
  """The relative distance of two flat gradients."""
  return np.linalg.norm(gradient - expected) / np.linalg.norm(expected)
