"""A family of tasks of your own: an arm that must point in a hidden direction.

  python examples/custom_tasks.py

The environment is a subclass of `maml_tf.TaskEnvironment` with five short
methods. NumPy steps all N rows together. While it trains, the program prints
the return before and after one adaptation step on held-out tasks.
"""

import maml_tf  # isort: skip  Before TensorFlow, which it quiets.

import argparse

import numpy as np
import tensorflow as tf
from tf_agents.specs import array_spec
from tf_agents.specs import tensor_spec

from maml_tf.learning import actor_networks

_SECONDS = 0.1  # The duration of one step.


class PointingArm(maml_tf.TaskEnvironment):
  """One joint, driven by a torque. The task is the target angle [rad].

      reward = -|angle - task|

  Observations are the angle [rad] and its velocity [rad/s].
  """

  def __init__(self, num_tasks, environments_per_task, horizon):
    super().__init__(
      observation_spec=array_spec.ArraySpec((2,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec(
        (1,), np.float32, -1.0, 1.0, 'torque'
      ),
      task_shape=(),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._state = np.zeros((self.batch_size, 2))

  def sample_tasks(self, n, rng):
    return rng.uniform(-1.0, 1.0, n)

  def _draw_starts(self, generator, num_rows):
    return generator.normal(0.0, 0.05, (num_rows, 2))

  def _reset_rows(self, rows, starts):
    self._state[rows] = starts
    return starts.astype(np.float32)

  def _advance(self, action):
    angle, velocity = self._state.T
    torque = np.clip(action[:, 0], -1.0, 1.0)
    velocity = velocity + _SECONDS * (10.0 * torque - 5.0 * velocity)
    angle = angle + _SECONDS * velocity
    self._state = np.stack([angle, velocity], axis=1)
    reward = -np.abs(angle - self._row_tasks).astype(np.float32)
    ended = np.zeros(self.batch_size, bool)
    return self._state.astype(np.float32), reward, ended


def main(argv=None):
  """Trains, and prints the returns before and after adaptation."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--iterations', type=int, default=40)
  parser.add_argument('--tasks', type=int, default=20)
  parser.add_argument('--episodes', type=int, default=10)
  flags = parser.parse_args(argv)
  tf.keras.utils.set_random_seed(0)

  environment = PointingArm(flags.tasks, flags.episodes, horizon=30)
  time_step_spec = tensor_spec.from_spec(environment.time_step_spec())
  action_spec = tensor_spec.from_spec(environment.action_spec())
  agent = maml_tf.MamlAgent(
    time_step_spec,
    action_spec,
    actor_networks.create_actor_network(
      time_step_spec.observation, action_spec
    ),
  )
  collector = maml_tf.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  learner = maml_tf.MetaLearner(agent)
  for iteration in range(1, flags.iterations + 1):
    learner.run(collector.collect(iteration).meta_batch)
    if iteration % 10 == 0 or iteration == flags.iterations:
      # The tasks of iteration 0 are held out from training.
      before, after = collector.collect(0).returns.mean(axis=(1, 2))
      print(f'iteration {iteration}: return {before:.2f} -> {after:.2f}')


if __name__ == '__main__':
  main()
