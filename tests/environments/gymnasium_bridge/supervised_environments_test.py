"""Environments in real processes that raise, hang and die."""

from concurrent import futures
import itertools
import os
import pathlib
import signal
import struct
import subprocess
import sys
import threading
import time

import cloudpickle
import gymnasium
import numpy as np
import pytest

from maml_tf.core import random_streams
from maml_tf.environments.gymnasium_bridge import environment_process
from maml_tf.environments.gymnasium_bridge import environment_worker
from maml_tf.environments.gymnasium_bridge import gymnasium_environment
from maml_tf.environments.gymnasium_bridge import returned_values
from maml_tf.environments.gymnasium_bridge import supervised_environments
from tests.environments import corridor
from tests.environments.gymnasium_bridge import faulty_walk
from tests.environments.gymnasium_bridge import scripted_returns
from tests.environments.gymnasium_bridge import supervised_parent
from tests.run import process_table

# Healthy steps take milliseconds, but other tests may occupy the processors.
TIMEOUT = 4.0
SEED = 5


def _walks(rows, folder, timeout=TIMEOUT, **kwargs):
  """Creates an environment with a row for each dict of arguments."""
  functions = []
  for number, row in enumerate(rows):
    own = pathlib.Path(folder) / str(number)
    own.mkdir(exist_ok=True)
    functions.append(
      lambda row=row, own=own: faulty_walk.FaultyWalk(**row, folder=own)
    )
  return supervised_environments.SupervisedVectorEnv(
    functions, timeout, **kwargs
  )


def _actions(num_steps, num_rows):
  generator = np.random.default_rng(0)
  return generator.uniform(-0.1, 0.1, (num_steps, num_rows, 2)).astype('f')


def _derived_seed(seed, restarts):
  """Returns the seed of a row's reset after a number of restarts."""
  return int(random_streams.generator((seed, restarts)).integers(2**31))


def _workers():
  return process_table.children(os.getpid())


def _error(action):
  """Returns the first line and the rest of the RuntimeError of an action."""
  with pytest.raises(RuntimeError) as error:
    action()
  line, _, rest = str(error.value).partition('\n')
  return line, rest


def _assert_equal(ours, theirs):
  for our, their in zip(ours, theirs, strict=True):
    np.testing.assert_equal(our, their)
    if isinstance(our, np.ndarray):
      assert our.dtype == their.dtype


@pytest.mark.parametrize(
  'functions',
  [
    [lambda n=n: faulty_walk.FaultyWalk(n) for n in (3, 2, 4)],
    # Nested spaces.
    [lambda n=n: corridor.Corridor(n) for n in (2, 3)],
  ],
)
def test_healthy_environments_equal_those_of_gymnasium(functions):
  theirs = gymnasium.vector.SyncVectorEnv(functions)
  # The processes must survive the end of the thread that creates them.
  with futures.ThreadPoolExecutor(1) as thread:
    ours = thread.submit(
      supervised_environments.SupervisedVectorEnv, functions
    ).result()
  for name in (
    'num_envs',
    'observation_space',
    'action_space',
    'single_observation_space',
    'single_action_space',
  ):
    assert getattr(ours, name) == getattr(theirs, name)
  assert (
    ours.metadata['autoreset_mode'] == gymnasium.vector.AutoresetMode.NEXT_STEP
  )
  for seed in (SEED, None, list(range(len(functions)))):
    _assert_equal(ours.reset(seed=seed), theirs.reset(seed=seed))
    for _ in range(8):
      actions = theirs.action_space.sample()
      _assert_equal(ours.step(actions), theirs.step(actions))
  assert ours.num_restarts.total() == ours.num_discarded == 0
  ours.close()


def test_a_failing_row_loses_an_episode_and_the_others_nothing(tmp_path):
  rows = [
    {'length': 6},
    {'length': 6, 'fault': 'raise', 'at': 'step 4'},
    {'length': 6, 'fault': 'sleep', 'at': 'step 3'},
    {'length': 6, 'fault': 'loop', 'at': 'step 3'},
    {'length': 6, 'fault': 'exit', 'at': 'step 9'},
    {'length': 6, 'fault': 'kill', 'at': 'step 1'},
    {'length': 3},
  ]
  # The steps of the batch at which episodes are lost. Step 7 resets row 4, and
  # step 8 is the 7th step of its process.
  lost = {1: 4, 2: 3, 3: 3, 4: 10, 5: 1}
  actions = _actions(14, len(rows))
  healthy = gymnasium.vector.SyncVectorEnv(
    [lambda row=row: faulty_walk.FaultyWalk(row['length']) for row in rows]
  )
  expected = [healthy.reset(seed=SEED), *(healthy.step(a) for a in actions)]

  environment = _walks(rows, tmp_path)
  found = [environment.reset(seed=SEED)]
  for step, action in enumerate(actions, 1):
    start = time.monotonic()
    found.append(environment.step(action))
    if step == 3:
      # The two hanging processes have the same deadline.
      assert TIMEOUT <= time.monotonic() - start < 2 * TIMEOUT
  for step, row in itertools.product(range(len(found)), range(len(rows))):
    if step < lost.get(row, np.inf):
      for field, value in zip(found[step][:-1], expected[step][:-1]):
        np.testing.assert_array_equal(field[row], value[row])
  for row, step in lost.items():
    observation, reward, terminated, truncated, info = found[step]
    np.testing.assert_array_equal(observation[row], found[step - 1][0][row])
    assert reward[row] == 0 and truncated[row] and not terminated[row]
    assert info['episode_discarded'][row]
    # The new episode equals one of an environment with that seed.
    again = faulty_walk.FaultyWalk(length=6)
    start, _ = again.reset(seed=_derived_seed(SEED + row, 1))
    np.testing.assert_array_equal(found[step + 1][0][row], start)
    for later, action in zip(found[step + 2 : step + 8], actions[step + 1 :]):
      values = again.step(action[row])
      for field, value in zip(later[:-1], values[:-1]):
        np.testing.assert_array_equal(field[row], value)
  for step, (*_, info) in enumerate(found):
    discarded = info.get('episode_discarded', np.zeros(len(rows), bool))
    np.testing.assert_array_equal(
      np.flatnonzero(discarded),
      [row for row, lost_at in lost.items() if lost_at == step],
    )
  assert environment.num_discarded == 5
  assert environment.num_restarts == {'raised': 1, 'hung': 2, 'died': 2}
  environment.close()


def test_episodes_after_failures_repeat_with_the_seed(tmp_path):
  rows = [{'fault': 'raise', 'at': 'step 2', 'times': 4}]
  environment = _walks(rows, tmp_path)
  actions = _actions(5, 1)
  # Each time the process fails at its second step, is replaced at the third,
  # and fails again at the fifth.
  one, other = (
    [
      environment.reset(seed=SEED)[0],
      *(environment.step(a)[0] for a in actions),
    ]
    for _ in range(2)
  )
  np.testing.assert_array_equal(one, other)
  assert environment.num_discarded == environment.num_restarts['raised'] == 4
  np.testing.assert_array_equal(
    one[3][0, 0],
    faulty_walk.FaultyWalk().reset(seed=_derived_seed(SEED, 1))[0][0],
  )
  environment.close()


def test_failing_resets_are_repeated(tmp_path):
  rows = [
    {'length': 2},
    # The fault occurs in a reset of all rows, and in a row's own reset.
    {'length': 2, 'fault': 'raise', 'at': 'reset 1', 'times': 2},
    {'length': 2, 'fault': 'exit', 'at': 'reset 2'},
  ]
  environment = _walks(rows, tmp_path)
  start, _ = environment.reset(seed=SEED)
  assert environment.num_restarts == {'raised': 2}
  actions = _actions(3, 3)
  _, _, terminations, _, _ = [environment.step(a) for a in actions[:2]][-1]
  assert terminations.all()
  again, rewards, terminations, truncations, infos = environment.step(
    actions[2]
  )
  assert environment.num_restarts == {'raised': 2, 'died': 1}
  for observations, row, restarts in ((start, 1, 2), (again, 2, 1)):
    seed = _derived_seed(SEED + row, restarts)
    np.testing.assert_array_equal(
      observations[row], faulty_walk.FaultyWalk().reset(seed=seed)[0]
    )
  # These are ordinary resets: no episode was in progress.
  assert not rewards.any() and not (terminations | truncations).any()
  assert 'episode_discarded' not in infos
  assert environment.num_discarded == 0
  environment.close()


def test_a_process_that_dies_between_steps(tmp_path):
  before = _workers()
  environment = _walks([{}, {}], tmp_path)
  environment.reset(seed=SEED)
  environment.step(_actions(1, 2)[0])
  victim = min(_workers() - before)
  os.kill(victim, signal.SIGKILL)
  assert not process_table.wait_for_end([victim], 5)
  *_, truncations, infos = environment.step(_actions(1, 2)[0])
  np.testing.assert_array_equal(truncations, infos['episode_discarded'])
  assert truncations.sum() == environment.num_discarded == 1
  assert len(_workers() - before) == 2
  environment.close()
  assert _workers() == before


@pytest.mark.parametrize(
  ('fault', 'max_restarts', 'line', 'rest'),
  [
    (
      'raise',
      2,
      'the environment of row 0 raised ValueError: the motor is hot, after 2'
      ' restarts: fix it, or raise max_restarts',
      ['line', 'in _raise', 'in step', 'ValueError: the motor\nis hot'],
    ),
    (
      'exit',
      0,
      'the environment of row 0 died: its process ended with exit code 3, after'
      ' 0 restarts: fix it, or raise max_restarts',
      [],
    ),
    (
      'kill',
      0,
      'the environment of row 0 died: its process was killed by signal 9'
      ' (SIGKILL), after 0 restarts: fix it, or raise max_restarts',
      [],
    ),
    (
      'loop',
      0,
      'the environment of row 0 did not step within 1.5 seconds, after 0'
      ' restarts: fix it, give it a longer timeout, or raise max_restarts',
      [],
    ),
  ],
)
def test_one_restart_too_many(tmp_path, fault, max_restarts, line, rest):
  before = _workers()
  descriptors = len(os.listdir('/proc/self/fd'))
  threads = threading.active_count()
  rows = [{'fault': fault, 'times': 9}]
  environment = _walks(rows, tmp_path, timeout=1.5, max_restarts=max_restarts)
  environment.reset(seed=SEED)
  action = _actions(1, 1)[0]
  for _ in range(2 * max_restarts):  # Fails and resets in turn.
    environment.step(action)
  found_line, found_rest = _error(lambda: environment.step(action))
  assert found_line == line
  assert bool(found_rest) == bool(rest)
  assert all(text in found_rest for text in rest)
  # No process is left, and the environment reports that it is closed.
  assert _workers() == before
  assert len(os.listdir('/proc/self/fd')) == descriptors
  assert threading.active_count() == threads
  environment.close()
  for use in (environment.reset, lambda: environment.step(action)):
    with pytest.raises(gymnasium.error.ClosedEnvironmentError):
      use()


@pytest.mark.parametrize(
  ('fault', 'problem'),
  [
    ('raise', 'raised ValueError: the motor is hot'),
    ('exit', 'died: its process ended with exit code 3'),
    ('loop', 'did not start within 5 seconds'),
  ],
)
def test_an_environment_that_cannot_be_created(tmp_path, fault, problem):
  before = _workers()
  rows = [{}, {'fault': fault, 'at': 'make', 'times': 9}]
  line, rest = _error(lambda: _walks(rows, tmp_path, start_timeout=5))
  assert line == (
    f'the environment of row 1 {problem} while it was created: fix env_fns[1]'
  )
  assert ('in __init__' in rest) == (fault == 'raise')
  # There was a single attempt.
  assert len(list(tmp_path.glob('1/fault *'))) == 1
  assert _workers() == before


def test_closing(tmp_path):
  before = _workers()
  rows = [{}, {'fault': 'loop', 'at': 'close'}]
  environment = _walks(rows, tmp_path, timeout=1.5)
  environment.reset()
  start = time.monotonic()
  environment.close()
  assert 1.5 <= time.monotonic() - start < 10
  assert _workers() == before
  # The healthy environment was closed properly.
  assert [len(list(tmp_path.glob(f'{row}/closed *'))) for row in (0, 1)] == [
    1,
    0,
  ]
  environment.close()
  forgotten = _walks([{}], tmp_path)
  assert len(_workers() - before) == 1
  del forgotten
  assert _workers() == before


def test_pictures_are_those_of_gymnasiums_vector_environments(tmp_path):
  functions = [lambda: gymnasium.make('CartPole-v1', render_mode='rgb_array')]
  theirs = gymnasium.vector.SyncVectorEnv(functions)
  ours = supervised_environments.SupervisedVectorEnv(functions)
  assert ours.render_mode == theirs.render_mode == 'rgb_array'
  with pytest.raises(gymnasium.error.ResetNeeded, match='call reset before'):
    ours.render()
  wrapped = gymnasium_environment.GymnasiumEnvironment(ours)
  wrapped.seed(SEED)
  wrapped.reset()
  theirs.reset(seed=SEED)
  np.testing.assert_array_equal(wrapped.render(), np.stack(theirs.render()))
  wrapped.close()
  with pytest.raises(gymnasium.error.ClosedEnvironmentError):
    ours.render()


def test_a_row_that_fails_while_it_renders_loses_its_episode(tmp_path):
  rows = [
    {'length': 6},
    {'length': 6, 'fault': 'raise', 'at': 'render 2'},
    {'length': 6, 'fault': 'exit', 'at': 'render 1'},
    # Its episode has ended when its process hangs.
    {'length': 2, 'fault': 'loop', 'at': 'render 2'},
    {'length': 6, 'fault': 'kill', 'at': 'step 2'},
  ]
  environment = _walks(rows, tmp_path)
  actions = _actions(4, len(rows))
  environment.reset(seed=SEED)
  shown = []
  environment.step(actions[0])
  shown.append(environment.render())
  *_, truncations, infos = environment.step(actions[1])
  np.testing.assert_array_equal(truncations, [0, 0, 1, 0, 1])
  np.testing.assert_array_equal(infos['episode_discarded'], truncations)
  shown.append(environment.render())
  *_, truncations, infos = environment.step(actions[2])
  np.testing.assert_array_equal(truncations, [0, 1, 0, 0, 0])
  np.testing.assert_array_equal(infos['episode_discarded'], truncations)
  shown.append(environment.render())
  assert environment.num_discarded == 3
  assert environment.num_restarts == {'raised': 1, 'hung': 1, 'died': 2}
  ages = [[frame[0, 0, 0] for frame in frames] for frames in shown]
  # A row without a process shows its last picture, or a black one. Row 2 is new
  # at step 2, and rows 2 to 4 are reset by step 3.
  np.testing.assert_array_equal(
    ages, [[1, 1, 0, 1, 1], [2, 1, 0, 1, 1], [3, 1, 0, 0, 0]]
  )
  for frames in shown:
    assert {f.shape for f in frames} == {(4, 5, 3)}
  environment.close()


def test_an_environment_that_cannot_be_rendered(tmp_path):
  before = _workers()
  environment = _walks([{'fault': 'raise', 'at': 'render 1'}], tmp_path)
  environment.reset()
  line, rest = _error(environment.render)
  assert line == (
    'the environment of row 0 raised ValueError: the motor is hot: fix its'
    ' render'
  )
  assert 'in _raise' in rest
  assert _workers() == before


def test_an_environment_against_gymnasiums_api_is_not_restarted():
  before = _workers()
  observation, reward, *_ = step = scripted_returns.STEP
  for arguments, message in (
    (
      {'steps': [step[:4]]},
      "step of ScriptedReturns returned 4 values, Gymnasium's has 5",
    ),
    (
      {'steps': [step, (observation[:2], *step[1:])]},
      'the observation of ScriptedReturns has shape (2,), its space',
    ),
    ({'reset_values': observation}, 'reset of ScriptedReturns returned one'),
  ):
    environment = supervised_environments.SupervisedVectorEnv(
      [
        lambda arguments=arguments: scripted_returns.ScriptedReturns(
          **arguments
        )
      ]
    )
    with pytest.raises(ValueError) as error:
      environment.reset()
      for action in _actions(2, 1):
        environment.step(action)
    assert str(error.value).startswith(message)
    assert not environment.num_restarts and _workers() == before
  silent = supervised_environments.SupervisedVectorEnv(
    [
      lambda: scripted_returns.ScriptedReturns(
        (observation, None), [(observation, [reward], True, None, None)]
      )
    ]
  )
  assert silent.reset()[1] == {}
  _, rewards, terminations, truncations, infos = silent.step(_actions(1, 1)[0])
  assert (rewards, terminations, truncations, infos) == ([1], [1], [0], {})
  silent.close()


def test_invalid_arguments():
  make = supervised_environments.SupervisedVectorEnv
  before = _workers()
  lock = threading.Lock()
  for functions, options, message in (
    ([], {}, 'env_fns is empty'),
    ([faulty_walk.FaultyWalk], {'timeout': 0}, 'timeout is 0'),
    ([faulty_walk.FaultyWalk], {'max_restarts': -1}, 'max_restarts is -1'),
    (
      [faulty_walk.FaultyWalk, lambda: faulty_walk.FaultyWalk(lock)],
      {},
      r'env_fns\[1\] cannot be sent to a process \(cannot pickle',
    ),
    (
      [faulty_walk.FaultyWalk, lambda: faulty_walk.FaultyWalk(width=1)],
      {},
      r'row 1 has the space Box\(-0.1, 0.1, \(1,\), float32\), row 0 has',
    ),
  ):
    with pytest.raises(ValueError, match=message):
      make(functions, **options)
    assert _workers() == before
  environment = make([faulty_walk.FaultyWalk])
  for seed, message in (([1, 2], '2 seeds for 1 rows'), (-1, 'seed is -1')):
    with pytest.raises(ValueError, match=message):
      environment.reset(seed=seed)
  environment.reset(seed=0)
  with pytest.raises(ValueError, match='2 actions for 1 rows'):
    environment.step(np.zeros((2, 2), np.float32))
  # Errors of the caller do not count as failures of a process.
  environment.step(np.zeros((1, 2), np.float32))
  environment.close()


@pytest.mark.parametrize(
  'endings',
  [
    {'hung, killed': signal.SIGKILL},
    pytest.param(
      {
        'killed': signal.SIGKILL,
        'hung, terminated': signal.SIGTERM,
        'hung, interrupted': signal.SIGINT,
        'raises': signal.SIGUSR1,
        'returns': signal.SIGUSR1,
        'exits at once': signal.SIGUSR1,
      },
      marks=pytest.mark.slow,
    ),
  ],
)
def test_no_process_outlives_its_parent(tmp_path, endings):
  root = pathlib.Path(__file__).parents[3]
  with subprocess.Popen(
    [sys.executable, supervised_parent.__file__, tmp_path, *endings],
    env={**os.environ, 'PYTHONPATH': str(root)},
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as program:
    workers = {}
    for _ in endings:
      ending, _, pid = program.stdout.readline().rpartition(' ')
      workers[ending] = process_table.children(int(pid))
      os.kill(int(pid), endings[ending])
    left = {
      ending: process_table.wait_for_end(pids, 5)
      for ending, pids in workers.items()
    }
    _, errors = program.communicate(timeout=60)
  assert {ending: len(pids) for ending, pids in workers.items()} == {
    ending: 2 for ending in endings
  }
  assert not any(left.values()), left
  # The only messages are those of the program itself.
  assert ('RuntimeError: the end' in errors) == ('raises' in endings)
  assert 'Exception ignored' not in errors and 'Fatal' not in errors


@pytest.mark.parametrize('module', [environment_worker, returned_values])
def test_the_worker_does_not_import_tensorflow(module):
  program = (
    'import sys; import runpy;'
    f' runpy.run_path({module.__file__!r});'
    " assert 'maml_tf' not in sys.modules and 'tensorflow' not in sys.modules"
  )
  subprocess.run([sys.executable, '-c', program], check=True)


def _die_within_a_message():
  pipe = int(sys.argv[1])
  # The header announces 1,000 bytes, as for an observation.
  os.write(pipe, struct.pack('!i', 1000) + b'half of it')
  os._exit(9)


def test_a_process_that_dies_within_a_message_has_died():
  with futures.ThreadPoolExecutor(1) as starter:
    process = environment_process.EnvironmentProcess(
      cloudpickle.dumps(_die_within_a_message), starter
    )
    # There is no request: unread data would cause another error.
    assert process.pipe.poll(60)
    failure = process.answer()
    assert failure.cause == 'died'
    assert 'exit code 9' in failure.summary
    process.kill()
