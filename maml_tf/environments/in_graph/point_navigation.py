"""Point navigation in TensorFlow operations."""

import gin
import numpy as np
import tensorflow as tf
from tf_agents.specs import array_spec

from maml_tf.environments import point_navigation
from maml_tf.environments.in_graph import tensor_environment
from maml_tf.environments.in_graph import tensor_tasks
from maml_tf.environments.rendering import point_renderer


class PointNavigationTasks(tensor_tasks.TensorTasks):
  """The tasks of `point_navigation.PointNavigation`: same draws, same steps."""

  def __init__(self):
    limit = point_navigation.MAX_STEP
    super().__init__(
      observation_spec=array_spec.ArraySpec((2,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec(
        (2,), np.float32, -limit, limit, 'action'
      ),
      task_shape=(2,),
    )

  def sample_tasks(self, n, rng):
    return point_navigation.sample_goals(n, rng)

  def draw_noise(self, generator, num_rows):
    del generator  # All points start at the origin.
    return np.zeros((num_rows, 0))

  def reset(self, task, noise):
    position = tf.zeros([2])
    return position, position

  def step(self, task, state, action):
    limit = point_navigation.MAX_STEP
    position = state + tf.clip_by_value(action, -limit, limit)
    distance = tf.norm(position - task)
    is_there = distance <= point_navigation.GOAL_RADIUS
    return position, position, -distance, is_there

  def render_state(self, state):
    return state.astype(np.float64)

  def create_renderer(self, task, states, width, height):
    return point_renderer.PointRenderer(task, states, width, height)

  def describe_task(self, task):
    return point_navigation.describe_goal(task)


@gin.configurable
class PointNavigationTensors(tensor_environment.TensorEnvironment):
  """`PointNavigation`, collected in compiled calls; see `TensorEnvironment`."""

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 20,
    horizon: int = 100,
  ):
    """Creates N = B*E points; the arguments are those of `PointNavigation`."""
    super().__init__(
      num_tasks, environments_per_task, horizon, PointNavigationTasks()
    )
