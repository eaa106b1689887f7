"""Tests of Gymnasium families in training."""

import os
import re
import signal
import time

import gymnasium
from gymnasium import spaces
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import errors
from maml_tf.environments.gymnasium_bridge import gymnasium_tasks
from tests.environments.gymnasium_bridge import families
from tests.run import process_table


def make(family, num_tasks=3, each=4, horizon=10, **arguments):
  return gymnasium_tasks.GymnasiumTasks(
    num_tasks, each, horizon, make_environment=family, **arguments
  )


def random_actions(environment, rng):
  def draw(spec):
    shape = (environment.batch_size, *spec.shape)
    if np.issubdtype(spec.dtype, np.integer):
      return rng.integers(spec.minimum, spec.maximum + 1, shape, spec.dtype)
    return rng.uniform(spec.minimum, spec.maximum, shape).astype(spec.dtype)

  return tf.nest.map_structure(draw, environment.action_spec())


def play(environment, num_steps=25, seed=5):
  """All arrays of an episode and more."""
  environment.seed(seed)
  environment.set_tasks(
    environment.sample_tasks(environment.num_tasks, np.random.default_rng(1))
  )
  rng = np.random.default_rng(2)
  steps = [environment.reset()]
  for _ in range(num_steps):
    steps.append(environment.step(random_actions(environment, rng)))
  return [array for step in steps for array in tf.nest.flatten(step)]


@pytest.mark.parametrize('family', [families.Counter, families.Doors])
def test_bits_do_not_depend_on_the_number_of_processes(family):
  played = []
  for num_processes in (1, 2, 5):
    environment = make(family, num_processes=num_processes)
    played.append(play(environment))
    environment.close()
  for other in played[1:]:
    for a, b in zip(played[0], other, strict=True):
      assert a.dtype == b.dtype
      np.testing.assert_array_equal(a, b)


def faulty(tmp_path, fault, at=3, **arguments):
  armed = tmp_path / 'armed'
  environment = make(
    families.Faulty,
    num_tasks=4,
    each=1,
    environment_arguments={'fault': fault, 'armed': str(armed), 'at': at},
    **arguments,
  )
  environment.seed(0)
  environment.set_tasks([{'row': row} for row in range(4)])
  environment.reset()
  armed.touch()
  return environment


@pytest.mark.parametrize(
  ('fault', 'lost'), [('raise', [1]), ('die', [0, 1]), ('hang', [0, 1])]
)
def test_failures_in_processes_cost_the_episodes_they_hit(
  tmp_path, fault, lost
):
  environment = faulty(tmp_path, fault, num_processes=2, timeout=5.0)
  actions = np.zeros(4, np.int32)
  for _ in range(2):
    environment.step(actions)
  step = environment.step(actions)
  expected = np.isin(np.arange(4), lost)
  np.testing.assert_array_equal(environment.discarded, expected)
  np.testing.assert_array_equal(step.is_last(), expected)
  # Truncated: the last observation and no reward, but its value counts.
  np.testing.assert_array_equal(step.discount, 1)
  np.testing.assert_array_equal(step.reward, np.where(expected, 0, 1))
  np.testing.assert_array_equal(
    step.observation[:, 0], np.where(expected, 2, 3)
  )
  step = environment.step(actions)
  np.testing.assert_array_equal(step.is_first(), expected)
  assert not environment.discarded.any()
  step = environment.step(actions)
  np.testing.assert_array_equal(
    step.observation[:, 0], np.where(expected, 1, 5)
  )
  assert environment.num_restarts == 1
  environment.close()


def test_too_many_failures_end_in_a_line_and_the_traceback(tmp_path):
  environment = faulty(tmp_path, 'raise', num_processes=2, max_restarts=0)
  with pytest.raises(
    errors.RunError, match='raised KeyError.*max_restarts'
  ) as e:
    for _ in range(3):
      environment.step(np.zeros(4, np.int32))
  assert '\n' not in str(e.value)
  assert "raise KeyError('the motor" in e.value.traceback
  environment.close()


def child_processes():
  return process_table.children(os.getpid())


def test_processes_end_with_an_interrupted_request(tmp_path):
  others = child_processes()
  environment = faulty(tmp_path, 'hang', num_processes=2, timeout=60.0)
  processes = child_processes() - others
  assert len(processes) >= 2
  actions = np.zeros(4, np.int32)
  environment.step(actions)
  environment.step(actions)

  def interrupt(*_):
    raise KeyboardInterrupt

  before = signal.signal(signal.SIGALRM, interrupt)
  signal.setitimer(signal.ITIMER_REAL, 0.3)
  try:
    with pytest.raises(KeyboardInterrupt):
      environment.step(actions)
  finally:
    signal.signal(signal.SIGALRM, before)
  assert not processes & child_processes()
  with pytest.raises(RuntimeError, match='ended: make a new environment'):
    environment.step(actions)


def test_an_exception_in_this_process_shows_its_traceback(tmp_path):
  environment = faulty(tmp_path, 'raise', num_processes=1)
  with pytest.raises(errors.RunError, match='^step of Faulty raised Key') as e:
    for _ in range(3):
      environment.step(np.zeros(4, np.int32))
  assert '\n' not in str(e.value)
  assert "raise KeyError('the motor" in e.value.traceback


def test_an_exception_of_the_trial_is_wrong_input(tmp_path):
  armed = tmp_path / 'armed'
  armed.touch()

  def sample(n):
    return [{'row': 1}] * n

  with pytest.raises(
    errors.UsageError, match='^a trial episode of Faulty raised KeyError'
  ) as e:
    make(
      families.Faulty,
      environment_arguments={'fault': 'raise', 'armed': str(armed)},
      sample_tasks=sample,
    )
  assert "raise KeyError('the motor" in e.value.traceback


class Base(gymnasium.Env):
  """A family without fault, to be spoilt."""

  observation_space = spaces.Box(-9, 9, (3,), np.float32)
  action_space = spaces.Box(-1, 1, (2,), np.float32)
  render_mode = None

  def sample_tasks(self, n):
    return [float(x) for x in self.np_random.uniform(size=n)]

  def set_task(self, task):
    self.task = task

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    return np.zeros(3, np.float32), {}

  def step(self, action):
    return np.zeros(3, np.float32), self.task, False, False, {}


class OldStep(Base):
  def step(self, action):
    return np.zeros(3, np.float32), 1.0, False, {}


class OldReset(Base):
  def reset(self, *, seed=None, options=None):
    return np.zeros(3, np.float32)


class OtherShape(Base):
  def step(self, action):
    return np.zeros((1, 3), np.float32), 1.0, False, False, {}


class OtherType(Base):
  def reset(self, *, seed=None, options=None):
    return 'zero', {}


class RewardArray(Base):
  def step(self, action):
    return np.zeros(3, np.float32), np.zeros(2), False, False, {}


class RewardNone(Base):
  def step(self, action):
    return np.zeros(3, np.float32), None, False, False, {}


class EndedByNumber(Base):
  def step(self, action):
    return np.zeros(3, np.float32), 1.0, 'no', False, {}


class NoTasks(Base):
  sample_tasks = None


class TooFewTasks(Base):
  def sample_tasks(self, n):
    return [1.0]


class NoList(Base):
  def sample_tasks(self, n):
    return 'task'


class NoSetTask(gymnasium.Env):
  observation_space = action_space = spaces.Discrete(2)


class NoSpec(Base):
  observation_space = spaces.Text(3)


class NoSpace(Base):
  observation_space = None


@pytest.mark.parametrize(
  ('family', 'message'),
  [
    (
      OldStep,
      'step of OldStep returned 4 values.* 5 .observation.*in place of done',
    ),
    (OldReset, 'reset of OldReset returned one value, of type ndarray'),
    (
      OtherShape,
      r'observation of OtherShape has shape \(1, 3\), .* says \(3,\)',
    ),
    (OtherType, "observation of OtherType is 'zero', its space"),
    (RewardArray, 'the reward of RewardArray is .*return a number'),
    (
      RewardNone,
      'the reward of RewardNone is None: return a number',
    ),
    (
      EndedByNumber,
      "terminated of EndedByNumber is 'no': return True or False",
    ),
    (NoTasks, 'NoTasks has no sample_tasks: give it'),
    (TooFewTasks, r'sample_tasks\(2\) returned 1 tasks: give 2'),
    (NoList, r"sample_tasks\(2\) returned 'task': give a list of 2 tasks"),
    (NoSetTask, r'NoSetTask has no set_task: give it set_task\(task\)'),
    (NoSpec, 'observation is Text.*wrap'),
    (NoSpace, 'NoSpace has no observation_space: set it'),
    (lambda: 3, 'make_environment gives a int: give a gymnasium.Env'),
    (3, 'make_environment is 3: give a class or function'),
    (None, 'make_environment is not set: give a class'),
  ],
)
def test_what_is_wrong_is_said_in_one_line(family, message):
  with pytest.raises(ValueError, match=message) as error:
    make(family)
  # Gin appends lines, which the command lines do not print.
  line = str(error.value).partition('\n')[0]
  assert re.search(message, line), line


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'training_tasks': []}, 'training_tasks is empty: give at least one'),
    ({'training_tasks': 'ab'}, "training_tasks is 'ab': give a list"),
    ({'held_out_tasks': [1]}, 'held_out_tasks is given without training_tasks'),
    ({'num_processes': 0}, 'num_processes is 0'),
    ({'timeout': 0}, 'timeout is 0'),
    ({'max_restarts': -1}, 'max_restarts is -1'),
  ],
)
def test_impossible_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    make(Base, **arguments)


def test_an_environment_that_cannot_be_sent_is_said():
  pipe = os.fdopen(os.pipe()[0])  # No file can be pickled.
  with pytest.raises(ValueError, match='environment cannot be sent.*= 1'):
    make(Holder, environment_arguments={'held': pipe}, num_processes=2)
  with pytest.raises(ValueError, match='^task .* cannot be sent.*= 1'):
    make(Holder, training_tasks=[pipe], num_processes=2)


class Holder(Base):
  def __init__(self, held=None):
    self.held = held

  def set_task(self, task):
    self.task = 1.0


@pytest.mark.parametrize('num_processes', [1, 2])
def test_spaces_that_differ_between_tasks_are_said(num_processes):
  with pytest.raises(ValueError, match='Growing has the space .* in one task'):
    make(families.Growing, training_tasks=[1.0, 11.0])
  environment = make(
    families.Growing, num_processes=num_processes, max_restarts=0
  )
  with pytest.raises(
    errors.RunError, match='the observation_space .* in one task'
  ):
    environment.set_tasks([0.0, 1.0, 11.0])
  environment.close()


class Deaf(Base):
  def step(self, action):
    return np.zeros(3, np.float32), 1.0, False, False, {}


class Outside(Base):
  def step(self, action):
    return np.full(3, 10, np.float32), self.task, False, False, {}


class OwnGenerator(Base):
  generator = np.random.default_rng()

  def sample_tasks(self, n):
    return list(self.generator.uniform(size=n))


@pytest.mark.parametrize(
  ('family', 'warning'),
  [
    (Deaf, 'Deaf: two tasks give the same rewards and observations'),
    (Outside, 'the observation of Outside lies outside its space'),
    (OwnGenerator, 'sample_tasks of OwnGenerator draws from a generator of'),
    (
      lambda: gymnasium.wrappers.TimeLimit(Base(), 7),
      'Base has a time limit of 7 steps, .* is 10: its time limit ends',
    ),
    (
      lambda: gymnasium.wrappers.TimeLimit(Base(), 70),
      'Base has a time limit of 70 steps, .* is 10: the horizon ends',
    ),
  ],
)
def test_what_may_be_wrong_is_a_warning(family, warning, capsys):
  environment = make(family)
  environment.reset()
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith('warning: ')
  assert_matches(warning, line)


def assert_matches(pattern, text):
  assert re.search(pattern, text), text


def test_a_family_without_fault_says_nothing(capsys):
  make(Base)
  assert not capsys.readouterr().err


class Labelled(Base):
  task_label = 'mass [kg]'


def test_a_family_may_name_its_tasks():
  assert make(Base).task_label == 'task'
  assert make(Labelled).task_label == 'mass [kg]'


class Enumerating(Base):
  def sample_tasks(self, n):
    return [float(i) for i in range(n)]


class OnlyPairs(Base):
  def sample_tasks(self, n):
    assert n == 2
    return [-1.0, 1.0]


def test_a_sampler_of_single_tasks_is_needed(capsys):
  make(Enumerating)
  assert 'gives the same task for each of 8 seeds' in capsys.readouterr().err
  with pytest.raises(errors.UsageError, match='OnlyPairs raised Assertion'):
    make(OnlyPairs)


class Late(Base):
  """Succeeds at the end of an episode, in arrays and odd values."""

  def step(self, action):
    self.count += 1
    info = {'success': [np.array([1, 0]), np.nan, None][self.count % 3]}
    if self.count == 30:
      info['success'] = np.array([True])
    observation = np.zeros(3, np.float32)
    ended = self.count == 30
    return observation, self.task, np.array([ended]), np.array([False]), info

  def reset(self, *, seed=None, options=None):
    self.count = 0
    return super().reset(seed=seed)


def test_success_may_come_at_the_end_and_info_may_be_anything():
  environment = make(Late, horizon=40)
  environment.set_tasks([1.0, 2.0, 3.0])
  environment.reset()
  for count in range(1, 31):
    step = environment.step(np.zeros((12, 2), np.float32))
    assert environment.success.tolist() == [count == 30] * 12
  np.testing.assert_array_equal(step.is_last(), True)


class FarStart(Base):
  action_space = spaces.Tuple(
    (
      spaces.Discrete(10, start=5000),
      spaces.Box(-np.inf, np.inf, (2,), np.float32),
    )
  )

  def step(self, action):
    assert 5000 <= action[0] < 5010
    assert np.abs(action[1]).max() < 100
    return super().step(action)


def test_the_trial_draws_actions_of_the_space():
  make(FarStart)


def test_a_reset_that_fails_discards_the_other_rows_of_its_process(tmp_path):
  environment = make(
    families.FailingReset,
    num_tasks=4,
    each=1,
    environment_arguments={'armed': str(tmp_path / 'armed')},
    num_processes=2,
  )
  environment.seed(0)
  environment.set_tasks([2.0, 9.0, 9.0, 9.0])
  environment.reset()
  (tmp_path / 'armed').touch()
  actions = np.zeros((4, 1), np.float32)
  environment.step(actions)
  assert environment.step(actions).is_last().tolist() == [True] + [False] * 3
  # Row 0 is reset, which fails once and so costs the episode of row 1.
  step = environment.step(actions)
  assert step.is_first().tolist() == [True] + [False] * 3
  step = environment.step(actions)
  assert environment.discarded.tolist() == [False, True, False, False]
  assert step.is_last().tolist() == [False, True, False, False]
  assert step.observation[:, 0].tolist() == [1, 3, 4, 4]
  assert environment.num_restarts == 1
  environment.close()


class NumPyGlobal(Base):
  """Draws from NumPy's and Python's global generators, as RLlib's do."""

  def sample_tasks(self, n_tasks):
    import random

    return [(x, random.random()) for x in np.random.uniform(size=n_tasks)]

  def set_task(self, task):
    self.task = task[0]


class WithRng(Base):
  def sample_tasks(self, n, rng):
    return list(rng.uniform(size=n))


@pytest.mark.parametrize('family', [Base, NumPyGlobal, WithRng])
def test_tasks_come_from_the_generator_alone(family):
  environment = make(family)
  np.random.seed(3)
  before = np.random.get_state()[1].copy()
  drawn = environment.sample_tasks(5, np.random.default_rng(7))
  np.testing.assert_array_equal(np.random.get_state()[1], before)
  environment.step(np.zeros((12, 2), np.float32))
  assert drawn == environment.sample_tasks(5, np.random.default_rng(7))
  assert drawn != environment.sample_tasks(5, np.random.default_rng(8))


def test_tasks_may_come_from_a_function_or_a_list():
  def sample(n, rng):
    return [{'mass': float(x)} for x in rng.uniform(size=n)]

  class ByDict(Base):
    def set_task(self, task):
      self.task = task['mass']

  environment = make(ByDict, sample_tasks=sample)
  assert [*environment.sample_tasks(1, np.random.default_rng(0))[0]] == ['mass']
  environment = make(Base, training_tasks=[1, 2], held_out_tasks=lambda: [3])
  assert set(environment.sample_tasks(50, np.random.default_rng(0))) == {1, 2}
  assert environment.held_out_task(5, np.random.default_rng(0)) == 3
  environment = make(families.Doors)
  assert environment.held_out_task(1, None).place == 5


class Inner(Base):
  def get_task(self):
    return self.task


class Recording(gymnasium.Wrapper):
  pass


def test_wrappers_may_stay():
  environment = make(
    lambda: Recording(gymnasium.wrappers.TimeLimit(Inner(), 5)), horizon=5
  )
  environment.set_tasks([1.0, 2.0, 3.0])
  environment.reset()
  step = environment.step(np.zeros((12, 2), np.float32))
  np.testing.assert_array_equal(step.reward, np.repeat([1.0, 2.0, 3.0], 4))


class Ending(Base):
  """Terminates or truncates at the third step, as its task says."""

  def step(self, action):
    self.count += 1
    ended = self.count == 3
    return (
      np.zeros(3, np.float32),
      self.task,
      ended and self.task > 0.5,
      ended and self.task <= 0.5,
      None,
    )

  def reset(self, *, seed=None, options=None):
    self.count = 0
    return super().reset(seed=seed)


def test_only_termination_has_no_future():
  environment = make(Ending, num_tasks=2, each=2)
  environment.set_tasks([0.0, 1.0])
  environment.reset()
  for _ in range(3):
    step = environment.step(np.zeros((4, 2), np.float32))
  np.testing.assert_array_equal(step.is_last(), True)
  np.testing.assert_array_equal(step.discount, [1, 1, 0, 0])


def test_a_registered_id_and_arguments():
  gymnasium.register('tests/Base-v0', Base, max_episode_steps=6)
  environment = make('tests/Base-v0', horizon=6)
  environment.set_tasks([1.0, 2.0, 3.0])
  environment.reset()
  for _ in range(6):
    step = environment.step(np.zeros((12, 2), np.float32))
  np.testing.assert_array_equal(step.is_last(), True)
  np.testing.assert_array_equal(step.discount, 1)


class Picture(Base):
  metadata = {'render_modes': ['rgb_array']}

  def __init__(self, render_mode=None):
    self.render_mode = render_mode

  def render(self):
    return np.full((20, 30, 3), int(100 * self.task), np.uint8)


def test_pictures_are_the_environments_own():
  environment = make(Picture, num_tasks=2, each=1)
  environment.prepare_rendering()
  environment.set_tasks([1.0, 2.0])
  environment.reset()
  states = environment.render_state()
  renderer = environment.create_renderer(1.0, states, 64, 48)
  for state, shade in zip(states, (100, 200)):
    image = renderer(state[np.newaxis])
    assert image.shape == (48, 64, 3)
    # Padded, not distorted.
    np.testing.assert_array_equal(image[20:28, 28:36], shade)


class Blind(Picture):
  def render(self):
    return None


@pytest.mark.parametrize(
  ('family', 'message'),
  [
    (Base, "Base cannot be rendered: let it take render_mode='rgb_array'"),
    (Blind, 'render of Blind returned no picture'),
  ],
)
def test_where_there_is_no_picture_a_line_says_so(family, message):
  environment = make(family)
  with pytest.raises(errors.UsageError, match=message):
    environment.prepare_rendering()
    environment.reset()
    environment.render_state()


def test_cheap_steps_are_played_in_this_process(monkeypatch):
  monkeypatch.setattr(gymnasium_tasks.cpu, 'count', lambda: 3)
  assert make(Base).num_processes == 1

  class Slow(Base):
    def step(self, action):
      time.sleep(0.001)
      return super().step(action)

  assert make(Slow).num_processes == 3
  assert make(Slow, num_tasks=1, each=2).num_processes == 2
