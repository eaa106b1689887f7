"""Environments that break the contract, each in one way."""

import dataclasses

import gymnasium
from gymnasium import spaces
import numpy as np
from tf_agents.specs import array_spec
from tf_agents.specs import tensor_spec
from tf_agents.trajectories import time_step as ts

import maml_tf


class Corridor(maml_tf.TaskEnvironment):
  """Keeps the contract. The reward is minus the distance to a hidden door.

  An episode terminates at the end of the corridor, 1 m from its middle.
  """

  def __init__(self, num_tasks=3, environments_per_task=2, horizon=5):
    super().__init__(
      self._create_observation_spec(),
      array_spec.BoundedArraySpec((1,), np.float32, -1.0, 1.0, 'speed'),
      (),
      num_tasks,
      environments_per_task,
      horizon,
    )
    self._position = np.zeros(self.batch_size)

  def _create_observation_spec(self):
    return array_spec.ArraySpec((1,), np.float32, 'place')

  def sample_tasks(self, n, rng):
    return rng.uniform(-0.5, 0.5, n)

  def _draw_starts(self, generator, num_rows):
    return generator.uniform(-0.1, 0.1, num_rows)

  def _reset_rows(self, rows, starts):
    self._position[rows] = starts
    return self._observation()[rows]

  def _advance(self, action):
    self._position = self._position + 0.5 * action[:, 0]
    reward = -np.abs(self._position - self._row_tasks).astype(np.float32)
    return self._observation(), reward, np.abs(self._position) > 1

  def _observation(self):
    return self._position[:, np.newaxis].astype(np.float32)


class OneTensorSpec(Corridor):
  def _create_observation_spec(self):
    return tensor_spec.TensorSpec((1,), np.float32, 'place')


class LoneRow(Corridor):
  batched = False


class TooFewTasks(Corridor):
  def sample_tasks(self, n, rng):
    return rng.uniform(-0.5, 0.5, 1)


class OwnRandomTasks(Corridor):
  def sample_tasks(self, n, rng):
    return np.random.uniform(-0.5, 0.5, n)


class TasksOfAnotherShape(Corridor):
  def sample_tasks(self, n, rng):
    return rng.uniform(-0.5, 0.5, (n, 2))


class RoundedTasks(Corridor):
  @property
  def tasks(self):
    return np.round(super().tasks)


class LateTasks(Corridor):
  """Rows go on where they are."""

  def set_tasks(self, tasks):
    current = getattr(self, '_current_time_step', None)
    super().set_tasks(tasks)
    self._current_time_step = current


class AnyNumberOfTasks(Corridor):
  def set_tasks(self, tasks):
    super().set_tasks(np.resize(tasks, self.num_tasks))


class KeepsRefusedTasks(Corridor):
  def set_tasks(self, tasks):
    self._tasks = np.asarray(tasks)
    super().set_tasks(tasks)


class RewardColumn(Corridor):
  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    return observation, reward[:, np.newaxis], terminated


class DoublePrecisionReward(Corridor):
  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    return observation, reward.astype(np.float64), terminated


class WideObservation(Corridor):
  def _observation(self):
    return np.tile(super()._observation(), 2)


class NamedObservation(Corridor):
  def _reset_rows(self, rows, starts):
    return {'place': super()._reset_rows(rows, starts)}


class ObservationOfLists(Corridor):
  def _reset_rows(self, rows, starts):
    return super()._reset_rows(rows, starts).astype(object)


class ReadOnlyObservation(Corridor):
  def _observation(self):
    observation = super()._observation()
    observation.flags.writeable = False
    return observation


class NotANumber(Corridor):
  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    return np.full_like(observation, np.nan), reward, terminated


class SuccessOfTheBatch(Corridor):
  success = True


class _Changed(Corridor):
  """Changes a time step after TaskEnvironment has made it."""

  def _step(self, action):
    return self._change(super()._step(action))

  def _reset(self):
    return self._change(super()._reset())


class NeverLast(_Changed):
  def _change(self, time_step):
    mid = np.minimum(time_step.step_type, ts.StepType.MID)
    return time_step._replace(step_type=mid)


class NoRestart(Corridor):
  """FIRST is seen at `reset` alone."""

  def _step(self, action):
    time_step = super()._step(action)
    after = np.maximum(time_step.step_type, ts.StepType.MID)
    return time_step._replace(step_type=after)


class FirstTwice(_Changed):
  def _change(self, time_step):
    first = np.full_like(time_step.step_type, ts.StepType.FIRST)
    return time_step._replace(step_type=first)


class RewardedReset(_Changed):
  def _change(self, time_step):
    return time_step._replace(reward=time_step.reward + np.float32(1))


class OwnDiscount(_Changed):
  def _change(self, time_step):
    return time_step._replace(discount=np.float32(0.9) * time_step.discount)


class HalfTermination(_Changed):
  def _change(self, time_step):
    last = time_step.step_type == ts.StepType.LAST
    half = np.where(last, np.float32(0.5), time_step.discount)
    return time_step._replace(discount=half)


class SameArray(Corridor):
  """Returns one observation array again and again."""

  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    if not hasattr(self, '_kept'):
      self._kept = observation
    self._kept[:] = observation
    return self._kept, reward, terminated


class OwnRandomStarts(Corridor):
  def _draw_starts(self, generator, num_rows):
    return np.random.uniform(-0.1, 0.1, num_rows)


class KeepsState(Corridor):
  """A reset leaves something of the last episode."""

  def _reset_rows(self, rows, starts):
    return super()._reset_rows(rows, starts + 0.5 * self._position[rows])


class OwnKeys(Corridor):
  def seed(self, seed):
    if isinstance(seed, int):
      seed = [(seed + 1, b) for b in range(self.num_tasks)]
    super().seed(seed)


class AnyNumberOfKeys(Corridor):
  def seed(self, seed):
    if not isinstance(seed, int):
      seed = [*seed, *seed][: self.num_tasks]
    super().seed(seed)


class StateIsObservation(Corridor):
  """What it returns is its own state."""

  def __init__(self, **kwargs):
    super().__init__(**kwargs)
    self._position = self._position.astype(np.float32)

  def _reset_rows(self, rows, starts):
    self._position = self._position.copy()
    return super()._reset_rows(rows, starts)

  def _advance(self, action):
    self._position = self._position + np.float32(0.5) * action[:, 0]
    reward = -np.abs(self._position - self._row_tasks).astype(np.float32)
    return self._position[:, np.newaxis], reward, np.abs(self._position) > 1


class SamplingMoves(Corridor):
  def sample_tasks(self, n, rng):
    if hasattr(self, '_position'):
      self._position = self._position + 0.1
    return super().sample_tasks(n, rng)


class LastActionCounts(Corridor):
  """The action after LAST moves the new start."""

  def _step(self, action):
    time_step = super()._step(action)
    first = time_step.step_type == ts.StepType.FIRST
    observation = time_step.observation + 0.1 * action * first[:, np.newaxis]
    return time_step._replace(observation=observation.astype(np.float32))


class SharedStarts(Corridor):
  """All tasks draw from the first task's stream."""

  def seed(self, seed):
    super().seed(seed)
    self._generators = [self._generators[0]] * self.num_tasks


class MeanReward(Corridor):
  """Rewards depend on the place of a row in the batch."""

  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    return observation, reward + reward[0], terminated


class NoEffect(Corridor):
  def _advance(self, action):
    observation, reward, terminated = super()._advance(action)
    return observation, np.zeros_like(reward), terminated


class OneTaskOnly(Corridor):
  def sample_tasks(self, n, rng):
    return np.zeros(n)


class TerminatesAtTheHorizon(Corridor):
  def _reset_rows(self, rows, starts):
    self._age = getattr(self, '_age', np.zeros(self.batch_size))
    self._age[rows] = 0
    return super()._reset_rows(rows, starts)

  def _advance(self, action):
    observation, reward, _ = super()._advance(action)
    self._age += 1
    return observation, reward, self._age == self.horizon


class TightBounds(Corridor):
  def _create_observation_spec(self):
    return array_spec.BoundedArraySpec((1,), np.float32, -0.2, 0.2, 'place')


class OtherArguments(Corridor):
  def __init__(self, num_tasks=2, environments_per_task=2):
    super().__init__(num_tasks, environments_per_task)


@dataclasses.dataclass(eq=False)
class Door:
  """A task that Python compares by identity, and that holds an array."""

  place: np.ndarray


class DoorCorridor(gymnasium.Env):
  """A Gymnasium family that keeps the contract."""

  observation_space = spaces.Box(-np.inf, np.inf, (1,), np.float32)
  action_space = spaces.Box(-1, 1, (1,), np.float32)

  def sample_tasks(self, n):
    return [Door(place) for place in self.np_random.uniform(-1, 1, (n, 1))]

  def set_task(self, task):
    self._door = task.place

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self._place = self._start()
    return self._place.astype(np.float32), {}

  def _start(self):
    return self.np_random.uniform(-0.1, 0.1, 1)

  def step(self, action):
    self._place = self._place + 0.1 * action
    reward = -abs(float(self._place[0] - self._door[0]))
    return self._place.astype(np.float32), reward, False, False, {}


class GloballyRandomDoorCorridor(DoorCorridor):
  def _start(self):
    return np.random.uniform(-0.1, 0.1, 1)
