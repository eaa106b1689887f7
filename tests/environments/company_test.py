"""A body's bits depend neither on threads nor on the other tasks."""

import numpy as np
import pytest

from maml_tf.environments import ant
from maml_tf.environments import half_cheetah_bodies
from maml_tf.environments import humanoid
from maml_tf.environments import swimmer

FAMILIES = (
  ant.AntDirection,
  ant.AntPlanarDirection,
  ant.AntVelocity,
  half_cheetah_bodies.HalfCheetahBody,
  half_cheetah_bodies.HalfCheetahMass,
  humanoid.HumanoidPlanarDirection,
  swimmer.SwimmerVelocity,
)


def play(cls, num_tasks, num_threads):
  """Plays the first task's two rows for 8 steps, with a reset; all bits."""
  environment = cls(num_tasks, 2, horizon=5)
  environment.use_threads(num_threads)
  # The first task is the same in any company.
  tasks = np.concatenate(
    [environment.sample_tasks(1, np.random.default_rng(b)) for b in range(3)]
  )
  environment.set_tasks(tasks[:num_tasks])
  environment.seed([(7, b) for b in range(num_tasks)])
  rng, spec = np.random.default_rng(0), environment.action_spec()
  steps = [environment.reset()]
  for _ in range(8):
    actions = rng.normal(size=(3, 2, *spec.shape)) * spec.maximum
    actions = actions[:num_tasks].reshape(-1, *spec.shape)
    steps.append(environment.step(actions.astype(np.float32)))
  environment.close()
  return (
    np.stack([step.observation[:2] for step in steps]),
    np.stack([step.reward[:2] for step in steps]),
    np.stack([step.step_type[:2] for step in steps]),
  )


@pytest.mark.parametrize('cls', FAMILIES, ids=lambda cls: cls.__name__)
def test_the_bits_do_not_depend_on_threads_or_company(cls):
  first, *others = [
    play(cls, num_tasks, num_threads)
    for num_tasks, num_threads in ((1, 1), (1, 2), (3, 1), (3, 2))
  ]
  for other in others:
    for one, same in zip(first, other, strict=True):
      np.testing.assert_array_equal(one, same)
