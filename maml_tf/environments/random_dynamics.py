"""Tasks that scale masses, inertias, damping and friction of a MuJoCo body.

The random dynamics of https://github.com/dennisl88/rand_param_envs, which the
papers of ProMP, PEARL and VariBAD train on: https://arxiv.org/abs/1810.06784
"""

from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np

from maml_tf.core import checks
from maml_tf.environments import tasks as tasks_lib

# The arrays of `MjModel` that a task scales, in the order of its exponents,
# with the base of the factors.
_BASES: Mapping[str, float] = {
  'body_mass': 1.5,
  'body_inertia': 1.5,
  'dof_damping': 1.3,
  'geom_friction': 1.5,
}

# 1.5^10 = 58: beyond that, a body is no longer the same body.
_LARGEST_EXPONENT = 10.0


def num_exponents(model: mujoco.MjModel) -> int:
  """Returns K, the number of exponents of a task for a model."""
  return sum(getattr(model, name).size for name in _BASES)


def to_factors(
  model: mujoco.MjModel, task: np.ndarray
) -> dict[str, np.ndarray]:
  """Returns the factors of a task.

  Args:
    model: The model, for its sizes.
    task: A float array [K] of exponents.

  Returns:
    For each array of `MjModel` by name, a float64 array of its shape: 1.5 or,
    for damping, 1.3 to the power of the exponents.
  """
  factors, start = {}, 0
  for name, base in _BASES.items():
    shape = getattr(model, name).shape
    stop = start + int(np.prod(shape))
    factors[name] = base ** np.reshape(task[start:stop], shape)
    start = stop
  return factors


def scale_model(model: mujoco.MjModel, task: np.ndarray) -> None:
  """Multiplies the numbers of a model by the factors of a task.

  Args:
    model: The model, which changes.
    task: A float array [K] of exponents.
  """
  for name, factor in to_factors(model, task).items():
    getattr(model, name)[:] *= factor


class RandomDynamics(tasks_lib.TaskFamily):
  """Tasks that are vectors of exponents, uniform in [-limit, limit].

      body_mass      [nbody]     *= 1.5^task[i]
      body_inertia   [nbody, 3]  *= 1.5^task[i]
      dof_damping    [nv]        *= 1.3^task[i]
      geom_friction  [ngeom, 3]  *= 1.5^task[i]

  Every element has an exponent of its own, in the order above and that of the
  elements: K = 4 * nbody + nv + 3 * ngeom. Body 0 is the world and geom 0 is
  the floor. The world's exponents have no effect, since its mass is 0, nor have
  those of joints without damping; they keep the layout that of MuJoCo. With the
  limit 3, masses, inertias and friction change by factors from 0.30 to 3.4, and
  damping from 0.46 to 2.2.

  A mixin for `MujocoBody` with `change_model=random_dynamics.scale_model`.
  """

  _model: mujoco.MjModel

  def _set_limit(self, log_scale_limit: float) -> None:
    """Stores the limit of the exponents that are drawn.

    Raises:
      ValueError: If it is out of range.
    """
    self._log_scale_limit = checks.number(
      'log_scale_limit', log_scale_limit, 0, maximum=_LARGEST_EXPONENT
    )

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws exponents uniformly and independently; returns float64 [n, K]."""
    limit = self._log_scale_limit
    return rng.uniform(-limit, limit, (n, num_exponents(self._model)))

  def describe_task(self, task: Any) -> str:
    """Names the factors of total mass, mean friction and mean damping."""
    factors = to_factors(self._model, np.asarray(task))
    own = {name: getattr(self._model, name) for name in factors}
    # Friction that slides: the other columns are hardly ever used.
    own['geom_friction'] = own['geom_friction'][:, 0]
    factors['geom_friction'] = factors['geom_friction'][:, 0]
    mass, friction, damping = (
      (own[name] * factors[name]).sum() / own[name].sum()
      for name in ('body_mass', 'geom_friction', 'dof_damping')
    )
    # Short enough for a film's caption.
    return f'mass x{mass:.2f}, friction x{friction:.2f}, damping x{damping:.2f}'

  def _check_tasks(self, tasks):
    if (np.abs(tasks) > _LARGEST_EXPONENT).any():
      worst = tasks.flat[np.argmax(np.abs(tasks))]
      raise ValueError(
        f'an exponent of the tasks is {worst:g}: give exponents from '
        f'{-_LARGEST_EXPONENT:g} to {_LARGEST_EXPONENT:g}'
      )
