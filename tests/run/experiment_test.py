"""Whole runs are repeatable, resumable and interruptible; their records."""

import csv
import os
import shlex
import shutil
import signal
from typing import NamedTuple

import gin
import numpy as np
import pytest
import tensorflow as tf

from maml_tf import evaluation
from maml_tf.core import errors
from maml_tf.run import config as run_config
from maml_tf.run import experiment
from maml_tf.run import interruption
from maml_tf.run import trained_run
from tests.environments import eventful_navigation

TINY = (
  'train_eval.environment_class = @EventfulNavigation',
  'train_eval.num_iterations = 4',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'train_eval.checkpoint_interval = 2',
  'train_eval.export_saved_model = False',
  'create_actor_network.fc_layer_params = (8,)',
  'MamlAgent.normalize_observations = True',
  'MamlAgent.meta_update = @GradientUpdate()',
  'GradientUpdate.optimizer = @tf.keras.optimizers.Adam()',
  'GradientUpdate.num_steps = 2',
  'tf.keras.optimizers.Adam.learning_rate = 0.01',
)

EXPORTED = 'train_eval.export_saved_model = True'

EVALUATED = (
  'train_eval.evaluation_interval = 1',
  'Evaluator.num_tasks = 3',
  'Evaluator.episodes_per_task = 4',
  'Evaluator.num_adaptation_steps = 2',
  "Evaluator.step_size_schedule = 'halve'",
)

# The metrics of RLlib's MAML, and the columns that hold them here. X is 1.
RLLIB_METRICS = {
  'episode_reward_mean': ['return_step_0'],
  'episode_reward_min': ['return_min_step_0'],
  'episode_reward_max': ['return_max_step_0'],
  'episode_reward_mean_adapt_N': ['return_step_1'],
  'episode_reward_min_adapt_N': ['return_min_step_1'],
  'episode_reward_max_adapt_N': ['return_max_step_1'],
  'adaptation_delta': ['adaptation_delta'],
  'cur_kl_coeff': ['kl_coefficient_step_0'],
  'cur_lr': ['learning_rate'],
  'total_loss': ['meta_loss'],
  'policy_loss': ['policy_loss'],
  'vf_loss': ['vf_loss'],
  'kl': ['kl'],
  'inner_kl': ['inner_kl_step_0'],
  'entropy': ['entropy'],
  'worker_loss': ['inner_loss_step_0'],
  'num_steps_sampled': ['env_steps'],
  'num_steps_trained': ['env_steps'],
  'training_iteration': ['iteration'],
  'time_total_s': ['wall_seconds'],
  'sample_time_ms': ['collect_seconds'],
  'learn_time_ms': ['update_seconds'],
  'sample_throughput': ['env_steps_per_second'],
}


class Run(NamedTuple):
  """The results of a run.

  Attributes:
    returns: The returns on held-out tasks, from `train_eval`.
    rows: The rows of metrics.csv, without the columns of the clock.
    variables: The variables of the last checkpoint, by name, without the
      clock's.
  """

  returns: np.ndarray
  rows: list[dict[str, str]]
  variables: dict[str, np.ndarray]


def _train(root_dir, *bindings, strategy=None):
  """Trains as the command line would, in this process."""
  gin.clear_config()
  run_config.parse([], [*TINY, *bindings])
  returns = experiment.train_eval(str(root_dir), strategy=strategy)
  return Run(returns, _rows(root_dir), _variables(root_dir))


def _rows(root_dir):
  with open(root_dir / 'metrics.csv', newline='', encoding='utf-8') as file:
    return [
      {name: value for name, value in row.items() if 'second' not in name}
      for row in csv.DictReader(file)
    ]


def _checkpoint(root_dir):
  return tf.train.latest_checkpoint(str(root_dir / 'checkpoints'))


def _variables(root_dir):
  reader = tf.train.load_checkpoint(_checkpoint(root_dir))
  return {
    name: reader.get_tensor(name)
    for name in reader.get_variable_to_shape_map()
    # The number of saves depends on where the run was interrupted.
    if not any(
      part in name
      for part in (
        'seconds',
        'version',
        'save_counter',
        '_CHECKPOINTABLE_OBJECT_GRAPH',
      )
    )
  }


def _assert_same(one, other):
  assert one.rows == other.rows
  assert one.variables.keys() == other.variables.keys()
  for name, value in one.variables.items():
    np.testing.assert_array_equal(value, other.variables[name], err_msg=name)
  np.testing.assert_array_equal(one.returns, other.returns)


@pytest.fixture(name='root_dir', scope='module')
def make_root_dir(tmp_path_factory):
  return tmp_path_factory.mktemp('runs') / 'uninterrupted'


@pytest.fixture(name='uninterrupted', scope='module')
def train_uninterrupted(root_dir):
  return _train(root_dir, EXPORTED)


@pytest.fixture
def events(monkeypatch):
  """Functions to call in the next runs, a dict by iteration."""
  happening = {}
  monkeypatch.setattr(
    eventful_navigation.EventfulNavigation, 'events', happening
  )
  return happening


def _turn_rewards_nan(environment):
  environment.reward_scale = np.nan


def _turn_rewards_finite(environment):
  environment.reward_scale = 1.0


def _make_rewards_huge(environment):
  environment.reward_scale = 1e30


def _interrupt(environment):
  del environment
  os.kill(os.getpid(), signal.SIGINT)


def test_a_run_leaves_the_documented_files(uninterrupted, root_dir):
  names = {path.name for path in root_dir.iterdir()}
  events = {name for name in names if name.startswith('events.out.tfevents')}
  assert len(events) == 1
  assert names - events == {
    'config.gin',
    'metrics.csv',
    'checkpoints',
    'saved_model',
  }
  assert [row['iteration'] for row in uninterrupted.rows] == list('1234')
  assert uninterrupted.returns.shape == (2, 2, 2)
  assert np.all(np.isfinite(uninterrupted.returns))
  config = (root_dir / 'config.gin').read_text(encoding='utf-8')
  for binding in (*(b for b in TINY if 'export' not in b), EXPORTED):
    assert f'{binding.removeprefix("tf.keras.optimizers.")}\n' in config


def test_numbers_of_a_row_fit_together(uninterrupted):
  for i, row in enumerate(uninterrupted.rows, 1):
    number = {name: float(value) for name, value in row.items()}
    # Two stages of 2 tasks, 2 episodes; at most 5 steps an episode.
    assert 0 < number['env_steps'] <= i * 2 * 2 * 2 * 5
    for step in range(2):
      assert (
        number[f'return_min_step_{step}']
        < number[f'return_step_{step}']
        < number[f'return_max_step_{step}']
      )
    assert number['adaptation_delta'] == pytest.approx(
      number['return_step_1'] - number['return_step_0']
    )
    assert number['learning_rate'] == np.float32(0.01)
    # The loss is the sum of its parts, without an entropy bonus here. Its inner
    # KL is that of the last optimizer step, the column's that after the update.
    assert number['meta_loss'] == pytest.approx(number['policy_loss'], abs=1e-3)


def test_checkpoints_hold_all_that_training_changes(uninterrupted):
  names = ' '.join(uninterrupted.variables)
  for part in ('kl_coefficients', '_optimizer', 'train_step', 'env_steps'):
    assert part in names
  # Parameters and Adam's two moments: five variables each.
  shapes = [v.shape for v in uninterrupted.variables.values()]
  assert shapes.count((2, 8)) >= 3
  steps = {
    name: value
    for name, value in uninterrupted.variables.items()
    if name.startswith('train_step')
  }
  assert list(steps.values()) == [4]


def test_every_metric_of_rllib_has_a_column(uninterrupted, root_dir):
  with open(root_dir / 'metrics.csv', encoding='utf-8') as file:
    columns = next(csv.reader(file))
  for name, ours in RLLIB_METRICS.items():
    assert set(ours) <= set(columns), name
  assert len(columns) == len(set(columns))


def test_one_seed_is_one_run(uninterrupted, tmp_path):
  _assert_same(_train(tmp_path / 'again'), uninterrupted)


@pytest.mark.slow
def test_another_seed_is_another_run(uninterrupted, tmp_path):
  other = _train(tmp_path, 'train_eval.seed = 1', 'train_eval.num_iterations=1')
  for name in ('return_step_0', 'meta_loss', 'gradient_norm'):
    assert other.rows[0][name] != uninterrupted.rows[0][name]
  assert np.all(other.returns != uninterrupted.returns)


def test_a_resumed_run_equals_an_uninterrupted_one(uninterrupted, tmp_path):
  first = _train(tmp_path, 'train_eval.num_iterations = 2')
  assert first.rows == uninterrupted.rows[:2]
  assert not (tmp_path / 'saved_model').exists()
  _assert_same(_train(tmp_path), uninterrupted)
  assert (tmp_path / 'config.gin').read_text(encoding='utf-8').count(
    'train_eval.num_iterations = 4\n'
  ) == 1


def test_a_completed_run_is_not_trained_further(uninterrupted, root_dir):
  before = (root_dir / 'metrics.csv').read_bytes()
  _assert_same(_train(root_dir), uninterrupted)
  assert (root_dir / 'metrics.csv').read_bytes() == before


def test_nan_stops_the_run_and_saves_the_last_good_iteration(
  uninterrupted, tmp_path, events
):
  events[4] = _turn_rewards_nan
  with pytest.raises(
    errors.RunError,
    match=r'^iteration 4: the reward of task 0, stage 0 \(after 0 adaptation'
    r' steps\) is not finite: 10 numbers .*; the run is saved after iteration'
    ' 3: add ',
  ) as error:
    _train(tmp_path, EXPORTED)
  # What it says to add are flags of the command line.
  skip, smaller = (
    shlex.split(part.partition('--root_dir=')[2])
    for part in str(error.value).split(', or ')
  )
  assert skip[:2] == [
    str(tmp_path),
    "--gin_bindings=train_eval.when_not_finite = 'skip'",
  ]
  assert smaller[:3] == [
    str(tmp_path),
    '--allow_config_change',
    '--gin_bindings=InnerLoop.step_size = 0.05',
  ]
  assert _rows(tmp_path) == uninterrupted.rows[:3]
  variables = _variables(tmp_path)
  (step,) = (v for k, v in variables.items() if k.startswith('train_step'))
  assert step == 3
  assert all(np.all(np.isfinite(value)) for value in variables.values())
  assert not (tmp_path / 'saved_model').exists()

  # With the environment repaired, the run continues as if it had not failed.
  events.clear()
  _, _, setting = skip[1].partition('=')
  _assert_same(_train(tmp_path, setting), uninterrupted)
  changes = (tmp_path / 'config_changes.txt').read_text(encoding='utf-8')
  assert changes.endswith(f"after iteration 3: {setting}, was 'stop'\n")


def _assert_skipped(row):
  assert row['skipped_meta_batches'] == '1'
  assert row['meta_loss'] == row['gradient_norm'] == 'nan'


def test_nan_may_be_skipped(uninterrupted, tmp_path, events, capfd):
  skip = "train_eval.when_not_finite = 'skip'"
  events[3] = _turn_rewards_nan
  events[4] = _turn_rewards_finite
  run = _train(tmp_path, skip)
  assert [row['iteration'] for row in run.rows] == list('1234')
  assert run.rows[:2] == uninterrupted.rows[:2]
  _assert_skipped(run.rows[2])
  assert run.rows[2]['return_step_0'] == 'nan'
  # The parameters of iteration 2 play the tasks of iteration 4.
  assert run.rows[3]['skipped_meta_batches'] == '0'
  assert run.rows[3] != uninterrupted.rows[3]
  assert np.isfinite(run.returns).all()
  assert all(np.all(np.isfinite(v)) for v in run.variables.values())
  assert (
    'iteration 3: the reward of task 0, stage 0 (after 0 adaptation steps) is'
    ' not finite: 10 numbers are NaN or infinite; this meta-batch is skipped\n'
  ) in capfd.readouterr().err


def test_evaluations_that_are_nan_may_be_skipped(
  uninterrupted, tmp_path, events, capfd
):
  skip = "train_eval.when_not_finite = 'skip'"
  events[0] = _turn_rewards_nan
  # The evaluation at the end cannot be skipped.
  with pytest.raises(errors.RunError, match='^on held-out tasks the reward of'):
    _train(tmp_path, *EVALUATED, skip)
  assert _rows(tmp_path) == uninterrupted.rows
  assert not (tmp_path / 'evaluations.csv').exists()
  lines = capfd.readouterr().err.splitlines()
  skipped = [line for line in lines if line.endswith('evaluation is skipped')]
  assert len(skipped) == 4
  assert skipped[0].startswith('evaluation after iteration 1: the reward of')


def test_a_gradient_that_is_nan_may_be_skipped(uninterrupted, tmp_path, events):
  # The rewards are finite, but not their squares. Adapted parameters stay
  # finite, because a task's standardised rewards are all equal.
  skip = "train_eval.when_not_finite = 'skip'"
  events[2] = _make_rewards_huge
  events[3] = _turn_rewards_finite
  run = _train(tmp_path, skip)
  _assert_skipped(run.rows[1])
  assert [row['skipped_meta_batches'] for row in run.rows] == list('0100')
  assert all(np.all(np.isfinite(v)) for v in run.variables.values())


@pytest.mark.slow
def test_sigint_saves_the_last_iteration_and_the_run_resumes(
  uninterrupted, tmp_path, events, capfd
):
  # The signal comes during a collection, which is abandoned.
  events[4] = _interrupt
  with pytest.raises(interruption.Interrupted) as stopped:
    _train(tmp_path)
  assert stopped.value.iteration == 3
  assert stopped.value.exit_code == 130
  assert 'Once more to stop at once' in capfd.readouterr().err
  assert _rows(tmp_path) == uninterrupted.rows[:3]
  assert _checkpoint(tmp_path).endswith('-3')
  assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

  assert not (tmp_path / 'saved_model').exists()

  # A signal in the last iteration of the run loses nothing either.
  events.clear()
  _assert_same(_train(tmp_path, EXPORTED), uninterrupted)
  assert (tmp_path / 'saved_model').exists()


def _evaluations(root_dir):
  return (root_dir / 'evaluations.csv').read_text(encoding='utf-8')


@pytest.fixture(name='evaluated_dir', scope='module')
def train_and_evaluate(tmp_path_factory):
  root_dir = tmp_path_factory.mktemp('runs') / 'evaluated'
  _train(root_dir, *EVALUATED)
  return root_dir


@pytest.mark.slow
def test_evaluations_change_nothing_of_the_training(
  uninterrupted, evaluated_dir, tmp_path
):
  root_dir = shutil.copytree(evaluated_dir, tmp_path / 'run')
  # The run is complete: it is only read, and nothing is evaluated again.
  _assert_same(_train(root_dir, *EVALUATED), uninterrupted)
  assert _evaluations(root_dir) == _evaluations(evaluated_dir)


def test_evaluations_are_those_of_the_parameters_of_their_iteration(
  evaluated_dir, uninterrupted
):
  rows = list(csv.DictReader(_evaluations(evaluated_dir).splitlines()))
  assert [(row['iteration'], row['step']) for row in rows] == [
    (i, step) for i in '1234' for step in '012'
  ]
  for row in rows:
    metrics = uninterrupted.rows[int(row['iteration']) - 1]
    assert row['env_steps'] == metrics['env_steps']
  # The last evaluations are repeated from the last checkpoint.
  run = trained_run.load_for_process(str(evaluated_dir))
  evaluator = evaluation.Evaluator(run.agent, run.create_environment, run.seed)
  (trained,) = evaluator.evaluate().policies
  assert trained.returns.shape == (3, 3, 4)
  for row, statistics in zip(rows[-3:], trained.statistics, strict=True):
    for name, value in statistics._asdict().items():
      assert float(row[name]) == pytest.approx(value, rel=1e-5), name


def _fail_in_the_second_evaluation():
  calls = []

  def fail(environment):
    calls.append(environment)
    if len(calls) == 2:
      raise RuntimeError('the simulator broke')

  return fail


@pytest.mark.parametrize(
  ('iteration', 'event', 'error'),
  [
    # After three evaluations.
    pytest.param(
      *(4, _turn_rewards_nan, errors.RunError), marks=pytest.mark.slow
    ),
    # During an evaluation, which is repeated on resuming.
    pytest.param(
      *(0, _interrupt, interruption.Interrupted), marks=pytest.mark.slow
    ),
    # Where a checkpoint is due: evaluations play iteration 0's tasks.
    pytest.param(
      *(0, _fail_in_the_second_evaluation(), RuntimeError),
      marks=pytest.mark.slow,
    ),
  ],
)
def test_a_run_that_was_cut_has_each_evaluation_once(
  iteration, event, error, evaluated_dir, uninterrupted, tmp_path, events
):
  events[iteration] = event
  with pytest.raises(error):
    _train(tmp_path, *EVALUATED)
  events.clear()
  _assert_same(_train(tmp_path, *EVALUATED), uninterrupted)
  assert _evaluations(tmp_path) == _evaluations(evaluated_dir)


@pytest.mark.slow
def test_a_run_can_be_evaluated_from_some_iteration_on(
  uninterrupted, evaluated_dir, tmp_path
):
  _train(tmp_path, 'train_eval.num_iterations = 2')
  assert not (tmp_path / 'evaluations.csv').exists()
  _assert_same(_train(tmp_path, *EVALUATED), uninterrupted)
  lines = _evaluations(evaluated_dir).splitlines()
  # The three rows of iteration 1 are missing: evaluation starts on resuming.
  assert _evaluations(tmp_path).splitlines() == [lines[0], *lines[4:]]


@pytest.mark.parametrize(
  ('value', 'message'),
  [
    ('@PointNavigation', r'loggers is .*: give a list, such as \[@MyLogger\]'),
    ("['csv']", "a logger is the text 'csv': give @csv, with the at sign"),
    (
      '[@InnerLoop]',
      'a logger is .*: give a function of root_dir and first_it',
    ),
  ],
)
def test_impossible_loggers_are_refused_before_training(
  value, message, tmp_path
):
  root_dir = tmp_path / 'run'
  with pytest.raises(errors.UsageError, match=message):
    _train(root_dir, f'train_eval.loggers = {value}')
  assert not root_dir.exists()


def test_an_impossible_evaluation_is_refused_before_training(tmp_path):
  root_dir = tmp_path / 'run'
  for binding, message in (
    ("train_eval.when_not_finite = 'hope'", "when_not_finite is 'hope'"),
    ('Evaluator.num_tasks = 0', 'num_tasks is 0'),
    ("Evaluator.step_size_schedule = 'x'", "step_size_schedule is 'x'"),
    ('train_eval.evaluation_interval = -1', 'evaluation_interval is -1'),
  ):
    with pytest.raises(errors.UsageError, match=message):
      _train(root_dir, *EVALUATED, binding)
  assert not root_dir.exists()


@pytest.mark.slow
def test_a_run_on_two_replicas_is_the_same_run(
  uninterrupted, tmp_path, two_replicas
):
  run = _train(tmp_path, 'train_eval.num_iterations = 2', strategy=two_replicas)
  for row, expected in zip(run.rows, uninterrupted.rows[:2], strict=True):
    for name, value in expected.items():
      assert float(row[name]) == pytest.approx(
        float(value), rel=1e-4, abs=1e-6
      ), name
  # One replica can continue it.
  alone = _train(tmp_path)
  assert [row['iteration'] for row in alone.rows] == list('1234')
  np.testing.assert_allclose(alone.returns, uninterrupted.returns, rtol=1e-3)


def test_tasks_that_replicas_cannot_share_are_refused(tmp_path, two_replicas):
  root_dir = tmp_path / 'run'
  with pytest.raises(errors.UsageError, match='3 tasks cannot be divided'):
    _train(root_dir, 'train_eval.num_tasks = 3', strategy=two_replicas)
  assert not root_dir.exists()


@pytest.mark.parametrize(
  ('binding', 'message'),
  [
    ('train_eval.num_tasks = 3', 'num_tasks = 2, not 3'),
    ('InnerLoop.step_size = 0.2', 'step_size = 0.1, not 0.2'),
  ],
)
def test_another_config_in_the_same_folder_is_refused(
  binding, message, uninterrupted, root_dir
):
  before = {p: p.stat().st_mtime_ns for p in root_dir.rglob('*')}
  with pytest.raises(errors.UsageError, match=message):
    _train(root_dir, binding)
  assert {p: p.stat().st_mtime_ns for p in root_dir.rglob('*')} == before
