"""A pendulum and a cart with a pole, whose tasks are their masses.

The tasks of RLlib's PendulumMassEnv and CartPoleMassEnv, with the dynamics of
Gymnasium's Pendulum-v1 and CartPole-v1. All rows are stepped by one NumPy
expression.
"""

import math

import gin
import numpy as np
from tf_agents.specs import array_spec

from maml_tf.environments import task_environment
from maml_tf.environments.rendering import control_renderer
from maml_tf.environments.rendering import renderer

# With smaller masses, forces divided by masses overflow float32 observations.
_SMALLEST_MASS = 1e-6

MAX_TORQUE = 2.0
MAX_SPEED = 8.0
PENDULUM_GRAVITY = 10.0
PENDULUM_LENGTH = 1.0
PENDULUM_STEP_SECONDS = 0.05

FORCE = 10.0
CART_GRAVITY = 9.8
HALF_POLE_LENGTH = 0.5
CART_STEP_SECONDS = 0.02
LARGEST_POSITION = 2.4
LARGEST_ANGLE = math.radians(12)


@gin.configurable
class PendulumMass(task_environment.TaskEnvironment):
  """A pendulum that must swing up and stand. Its task is its mass.

      reward = -(angle^2 + 0.1 * velocity^2 + 0.001 * torque^2)

  The angle is 0 if the pendulum stands, and lies in [-pi, pi]. The reward is
  that of the state before the step. The environment clips the torque to
  [-2, 2] N m. An episode is truncated at the horizon and never terminates. It
  starts at an angle from U[-pi, pi] and a velocity from U[-1, 1]. The
  observation is the cosine and sine of the angle and the velocity.

  The mass enters through the torque alone, as 3 * torque / (mass * length^2):
  gravity accelerates all masses alike.
  """

  task_label = 'mass [kg]'

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 20,
    horizon: int = 200,
  ):
    """Creates N = B*E pendulums.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is truncated.
    """
    super().__init__(
      observation_spec=array_spec.ArraySpec((3,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec(
        (1,), np.float32, -MAX_TORQUE, MAX_TORQUE, 'action'
      ),
      task_shape=(),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._state = np.zeros((self.batch_size, 2))

  @property
  def state(self) -> np.ndarray:
    """Angles [rad] and velocities [rad/s], a float64 array [N, 2]."""
    return self._state.copy()

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws masses [kg] uniformly from [0.5, 2]; returns float64 [n]."""
    return sample_pendulums(n, rng)

  def render_state(self) -> np.ndarray:
    """Returns `state`."""
    return self.state

  def create_renderer(
    self, task: np.ndarray, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    del states  # The view is the same for all of them.
    return control_renderer.PendulumRenderer(float(task), width, height)

  def _check_tasks(self, tasks):
    check_masses(tasks)

  def _draw_starts(self, generator, num_rows):
    return draw_pendulum_starts(generator, num_rows)

  def _reset_rows(self, rows, starts):
    self._state[rows] = starts
    return _pendulum_observation(starts)

  def _advance(self, action):
    self._state, reward = advance_pendulum(
      self._state, action[:, 0], self._row_tasks
    )
    return (
      _pendulum_observation(self._state),
      reward.astype(np.float32),
      np.zeros(self.batch_size, bool),
    )


@gin.configurable
class CartPoleMass(task_environment.TaskEnvironment):
  """A cart that balances a pole. Its task is the mass of each.

  Action 1 pushes the cart to the right with 10 N, action 0 to the left. Every
  step is rewarded by 1. An episode terminates if the cart is more than 2.4 m
  from the middle or the pole more than 12 degrees from upright. It is truncated
  at the horizon. The observation is the state: the cart's position and
  velocity, the pole's angle and angular velocity. It starts with each of them
  from U[-0.05, 0.05].

  RLlib's environment sets Gymnasium's `masscart` and `masspole`, but not
  `total_mass` and `polemass_length`, which Gymnasium computes from them. So in
  RLlib the mass of the cart has no effect, and the tasks hardly differ. Here
  all four numbers are those of the task.
  """

  def __init__(
    self,
    num_tasks: int = 20,
    environments_per_task: int = 20,
    horizon: int = 200,
  ):
    """Creates N = B*E carts.

    Args:
      num_tasks: B, the number of tasks.
      environments_per_task: E, the number of environments that play each task.
      horizon: The number of steps after which an episode is truncated.
    """
    super().__init__(
      observation_spec=array_spec.ArraySpec((4,), np.float32, 'observation'),
      action_spec=array_spec.BoundedArraySpec((), np.int32, 0, 1, 'action'),
      task_shape=(2,),
      num_tasks=num_tasks,
      environments_per_task=environments_per_task,
      horizon=horizon,
    )
    self._state = np.zeros((self.batch_size, 4))

  @property
  def state(self) -> np.ndarray:
    """The states of the rows, a float64 array [N, 4].

    Position [m] and velocity [m/s] of the cart, angle [rad] and angular
    velocity [rad/s] of the pole.
    """
    return self._state.copy()

  def sample_tasks(self, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draws masses [kg] of cart and pole; returns float64 [n, 2].

    The cart's is uniform in [0.5, 2], the pole's in [0.05, 0.2].
    """
    return sample_carts(n, rng)

  def render_state(self) -> np.ndarray:
    """Returns `state`."""
    return self.state

  def create_renderer(
    self, task: np.ndarray, states: np.ndarray, width: int, height: int
  ) -> renderer.Renderer:
    del states  # The view is the same for all of them.
    return control_renderer.CartPoleRenderer(task, width, height)

  def _check_tasks(self, tasks):
    check_masses(tasks)

  def _draw_starts(self, generator, num_rows):
    return draw_cart_starts(generator, num_rows)

  def _reset_rows(self, rows, starts):
    state = 0.1 * starts - 0.05
    self._state[rows] = state
    return state.astype(np.float32)

  def _advance(self, action):
    self._state = advance_cart_pole(self._state, action, *self._row_tasks.T)
    position, _, angle, _ = self._state.T
    return (
      self._state.astype(np.float32),
      np.ones(self.batch_size, np.float32),
      (np.abs(position) > LARGEST_POSITION) | (np.abs(angle) > LARGEST_ANGLE),
    )


def advance_pendulum(
  state: np.ndarray, torque: np.ndarray, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Advances pendulums by a step of 0.05 s.

      acceleration = 3g / (2l) * sin(angle) + 3 / (m l^2) * torque
      velocity'    = clip(velocity + dt * acceleration, -8, 8)
      angle'       = angle + dt * velocity'

  Args:
    state: A float64 array [N, 2], as in `PendulumMass.state`.
    torque: An array [N]. It is clipped to [-2, 2] N m.
    mass: A float64 array [N], kg.

  Returns:
    The next states, float64 [N, 2]; and the rewards, float64 [N].
  """
  angle, velocity = state.T
  torque = np.clip(torque, -MAX_TORQUE, MAX_TORQUE).astype(np.float64)
  nearest = (angle + np.pi) % (2 * np.pi) - np.pi
  cost = nearest**2 + 0.1 * velocity**2 + 0.001 * torque**2
  gravity = 3 * PENDULUM_GRAVITY / (2 * PENDULUM_LENGTH) * np.sin(angle)
  drive = 3 / (mass * PENDULUM_LENGTH**2) * torque
  velocity = velocity + (gravity + drive) * PENDULUM_STEP_SECONDS
  velocity = np.clip(velocity, -MAX_SPEED, MAX_SPEED)
  angle = angle + velocity * PENDULUM_STEP_SECONDS
  return np.stack([angle, velocity], axis=1), -cost


def advance_cart_pole(
  state: np.ndarray,
  action: np.ndarray,
  cart_mass: np.ndarray,
  pole_mass: np.ndarray,
) -> np.ndarray:
  """Advances carts by an Euler step of 0.02 s.

  The equations are (23) and (24), without friction, of R. V. Florian, "Correct
  equations for the dynamics of the cart-pole system".

  Args:
    state: A float64 array [N, 4], as in `CartPoleMass.state`.
    action: An int array [N]: 0 pushes to the left, 1 to the right.
    cart_mass: A float64 array [N], kg.
    pole_mass: A float64 array [N], kg.

  Returns:
    The next states, float64 [N, 4].

  Raises:
    ValueError: If an action is neither 0 nor 1.
  """
  is_right = action == 1
  if not (is_right | (action == 0)).all():
    raise ValueError(f'action must be 0 or 1, not {np.unique(action).tolist()}')
  _, speed, angle, angular_velocity = state.T
  force = np.where(is_right, FORCE, -FORCE)
  mass = pole_mass + cart_mass
  moment = pole_mass * HALF_POLE_LENGTH
  cosine, sine = np.cos(angle), np.sin(angle)
  push = (force + moment * angular_velocity**2 * sine) / mass
  angular_acceleration = (CART_GRAVITY * sine - cosine * push) / (
    HALF_POLE_LENGTH * (4 / 3 - pole_mass * cosine**2 / mass)
  )
  acceleration = push - moment * angular_acceleration * cosine / mass
  rates = [speed, acceleration, angular_velocity, angular_acceleration]
  return state + CART_STEP_SECONDS * np.stack(rates, axis=1)


def sample_pendulums(n: int, rng: np.random.Generator) -> np.ndarray:
  """Draws masses as `PendulumMass.sample_tasks` does; float64 [n]."""
  return rng.uniform(0.5, 2.0, n)


def sample_carts(n: int, rng: np.random.Generator) -> np.ndarray:
  """Draws masses as `CartPoleMass.sample_tasks` does; float64 [n, 2]."""
  return rng.uniform([0.5, 0.05], [2.0, 0.2], (n, 2))


def draw_pendulum_starts(
  generator: np.random.Generator, num_rows: int
) -> np.ndarray:
  """Draws angles [rad] and velocities [rad/s]; float64 [num_rows, 2]."""
  return generator.uniform(-1, 1, (num_rows, 2)) * [np.pi, 1.0]


def draw_cart_starts(
  generator: np.random.Generator, num_rows: int
) -> np.ndarray:
  """Draws numbers u of states 0.1 u - 0.05; float64 [num_rows, 4].

  Poles fall often, so the numbers of all tasks are scaled at once.
  """
  return generator.random((num_rows, 4))


def check_masses(masses: np.ndarray) -> None:
  """Raises ValueError unless all masses are positive."""
  if (masses < _SMALLEST_MASS).any():
    raise ValueError(
      f'tasks {masses.tolist()} are masses: give positive numbers of at least'
      f' {_SMALLEST_MASS:g} kg'
    )


def _pendulum_observation(state):
  """Returns float32 [N, 3] of states [N, 2]."""
  angle, velocity = state.T
  parts = [np.cos(angle), np.sin(angle), velocity]
  return np.stack(parts, axis=1).astype(np.float32)
