"""The pendulum and the cart-pole of different masses as TensorFlow operations.

The equations are those of `maml_tf.environments.classic_control`, in float32.
"""

import math

import gin
import numpy as np
import tensorflow as tf
from tf_agents.specs import array_spec

from maml_tf.environments import classic_control
from maml_tf.environments.in_graph import tensor_environment
from maml_tf.environments.in_graph import tensor_tasks
from maml_tf.environments.rendering import control_renderer


class PendulumMassTasks(tensor_tasks.TensorTasks):
  """The tasks of `classic_control.PendulumMass`: same draws, same steps.

  The state is the angle [rad] in [-pi, pi] and the velocity [rad/s]. The NumPy
  form counts turns, too. In float32 that would cost precision, turn by turn.
  """

  task_label = classic_control.PendulumMass.task_label

  def __init__(self):
    limit = classic_control.MAX_TORQUE
    super().__init__(
      observation_spec=array_spec.ArraySpec((3,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec(
        (1,), np.float32, -limit, limit, 'action'
      ),
      task_shape=(),
    )

  def sample_tasks(self, n, rng):
    return classic_control.sample_pendulums(n, rng)

  def draw_noise(self, generator, num_rows):
    return classic_control.draw_pendulum_starts(generator, num_rows)

  def reset(self, task, noise):
    del task  # All masses start alike.
    return noise, _pendulum_observation(noise)

  def step(self, task, state, action):
    angle, velocity = tf.unstack(state)
    limit = classic_control.MAX_TORQUE
    torque = tf.clip_by_value(action[0], -limit, limit)
    cost = angle**2 + 0.1 * velocity**2 + 0.001 * torque**2
    length = classic_control.PENDULUM_LENGTH
    gravity = 1.5 * classic_control.PENDULUM_GRAVITY / length * tf.sin(angle)
    drive = 3 / (task * length**2) * torque
    seconds = classic_control.PENDULUM_STEP_SECONDS
    limit = classic_control.MAX_SPEED
    velocity += (gravity + drive) * seconds
    velocity = tf.clip_by_value(velocity, -limit, limit)
    angle += velocity * seconds
    angle -= 2 * math.pi * tf.round(angle / (2 * math.pi))
    state = tf.stack([angle, velocity])
    return state, _pendulum_observation(state), -cost, tf.constant(False)

  def render_state(self, state):
    return state.astype(np.float64)

  def create_renderer(self, task, states, width, height):
    return control_renderer.PendulumRenderer(float(task), width, height)

  def _check_tasks(self, tasks):
    classic_control.check_masses(tasks)


class CartPoleMassTasks(tensor_tasks.TensorTasks):
  """The tasks of `classic_control.CartPoleMass`: same draws, same steps.

  The state is position [m], velocity [m/s], angle [rad] and angular velocity
  [rad/s]. Actions other than 0 and 1 are not refused: 1 pushes to the right,
  anything else to the left.
  """

  def __init__(self):
    super().__init__(
      observation_spec=array_spec.ArraySpec((4,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec((), np.int32, 0, 1, 'action'),
      task_shape=(2,),
    )

  def sample_tasks(self, n, rng):
    return classic_control.sample_carts(n, rng)

  def draw_noise(self, generator, num_rows):
    return classic_control.draw_cart_starts(generator, num_rows)

  def reset(self, task, noise):
    del task  # All masses start alike.
    state = 0.1 * noise - 0.05
    return state, state

  def step(self, task, state, action):
    cart_mass, pole_mass = tf.unstack(task)
    _, speed, angle, angular_velocity = tf.unstack(state)
    force = tf.where(
      tf.equal(action, 1), classic_control.FORCE, -classic_control.FORCE
    )
    half_length = classic_control.HALF_POLE_LENGTH
    mass = pole_mass + cart_mass
    moment = pole_mass * half_length
    cosine, sine = tf.cos(angle), tf.sin(angle)
    push = (force + moment * angular_velocity**2 * sine) / mass
    angular_acceleration = (
      classic_control.CART_GRAVITY * sine - cosine * push
    ) / (half_length * (4 / 3 - pole_mass * cosine**2 / mass))
    acceleration = push - moment * angular_acceleration * cosine / mass
    rates = [speed, acceleration, angular_velocity, angular_acceleration]
    state += classic_control.CART_STEP_SECONDS * tf.stack(rates)
    terminated = (tf.abs(state[0]) > classic_control.LARGEST_POSITION) | (
      tf.abs(state[2]) > classic_control.LARGEST_ANGLE
    )
    return state, state, tf.constant(1.0), terminated

  def render_state(self, state):
    return state.astype(np.float64)

  def create_renderer(self, task, states, width, height):
    return control_renderer.CartPoleRenderer(task, width, height)

  def _check_tasks(self, tasks):
    classic_control.check_masses(tasks)


@gin.configurable
class PendulumMassTensors(tensor_environment.TensorEnvironment):
  """`PendulumMass`, collected in compiled calls; see `TensorEnvironment`."""

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 20,
    horizon: int = 200,
  ):
    """Creates N = B*E pendulums; the arguments are those of `PendulumMass`."""
    super().__init__(
      num_tasks, environments_per_task, horizon, PendulumMassTasks()
    )


@gin.configurable
class CartPoleMassTensors(tensor_environment.TensorEnvironment):
  """`CartPoleMass`, collected in compiled calls; see `TensorEnvironment`."""

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 20,
    horizon: int = 200,
  ):
    """Creates N = B*E carts; the arguments are those of `CartPoleMass`."""
    super().__init__(
      num_tasks, environments_per_task, horizon, CartPoleMassTasks()
    )


def _pendulum_observation(state):
  angle, velocity = tf.unstack(state)
  return tf.stack([tf.cos(angle), tf.sin(angle), velocity])
