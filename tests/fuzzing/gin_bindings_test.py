"""Every setting leads to a finite run, or to one line with the reason."""

import contextlib
import csv
import io
import math
import pathlib
import tempfile
from typing import NamedTuple

import gin
import hypothesis
import numpy as np
import pytest

from maml_tf.learning import meta_learner
from maml_tf.run import training_loop
from tests import command_lines
from tests.fuzzing import gin_settings


class _Outcome(NamedTuple):
  """The outcome of a command line.

  Attributes:
    exit_code: Its exit code.
    lines: The printed lines.
    files: The files in the run's folder, None if there is no folder.
    rows: The rows of metrics.csv.
  """

  exit_code: int
  lines: list[str]
  files: list[str] | None
  rows: list[dict[str, str]]


def _train(setting):
  """Trains a tiny experiment with one setting changed, in this process."""
  gin.clear_config()
  printed = io.StringIO()
  with tempfile.TemporaryDirectory() as folder:
    root_dir = pathlib.Path(folder, 'run')
    with (
      contextlib.redirect_stdout(printed),
      contextlib.redirect_stderr(printed),
    ):
      exit_code = command_lines.call(
        'train',
        gin_file=setting.gin_files,
        gin_bindings=setting.gin_bindings,
        root_dir=str(root_dir),
      )
    files = sorted(map(str, root_dir.rglob('*'))) if root_dir.exists() else None
    metrics, rows = root_dir / 'metrics.csv', []
    if metrics.exists():
      with metrics.open(encoding='utf-8') as file:
        rows = list(csv.DictReader(file))
  return _Outcome(exit_code, printed.getvalue().splitlines(), files, rows)


def _assert_refused_in_one_line(outcome):
  assert outcome.exit_code == 2
  assert len(outcome.lines) == 1, outcome.lines
  assert outcome.lines[0].startswith('train: ')
  # The line is not a joined config or traceback.
  assert len('train: ') < len(outcome.lines[0]) < 400
  assert outcome.files is None


@pytest.fixture(name='stops_once_built')
def stop_once_built(monkeypatch):
  """Skips training, so that a run only builds its parts, without tracing."""
  monkeypatch.setattr(meta_learner.MetaLearner, 'trace', lambda *_: None)
  monkeypatch.setattr(training_loop.TrainingLoop, 'run', lambda *_: None)
  monkeypatch.setattr(
    training_loop.TrainingLoop, 'finish', lambda *_: np.zeros([2, 2, 2])
  )


@pytest.mark.parametrize(
  ('owner', 'parameter', 'value', 'named'),
  [
    # Another part instead of the right one.
    ('MamlAgent', 'inner_loop', '0', 'inner_loop is 0'),
    ('MamlAgent', 'inner_loop', '@TrustRegionUpdate()', 'inner_loop is <'),
    ('MamlAgent', 'meta_update', '@InnerLoop()', 'meta_update is <'),
    ('MamlAgent', 'meta_update', 'True', 'meta_update is True'),
    ('MamlAgent', 'baseline', '@NoBaseline', 'baseline is <class'),
    ('MamlAgent', 'meta_objective_class', '3', 'meta_objective_class is 3'),
    ('train_eval', 'value_network_fn', '""', "value_network_fn is the text ''"),
    ('train_eval', 'agent_class', '2', 'agent_class is 2'),
    ('train_eval', 'actor_network_fn', '@dice', 'dice'),
    # A reference to itself.
    ('InnerLoop', 'step_size', '@InnerLoop()', 'refers to itself'),
    # Parts that gin creates before the run begins.
    ('train_eval', 'seed', '@names_match()', 'names_match'),
    ('train_eval', 'num_tasks', '@InnerLoop()', 'num_tasks is <'),
    # An undefined macro, without the config that gin would append.
    ('InnerLoop', 'step_size', '%nothing', '%nothing has no value'),
    # Truth values that are not booleans.
    ('MamlAgent', 'jit_compile', "'False'", "jit_compile is 'False'"),
    ('MamlAgent', 'normalize_observations', '()', 'observations is ()'),
    ('InnerLoop', 'first_order', '1', 'first_order is 1'),
    ('create_value_network', 'share_layers', '0.0', 'share_layers is 0.0'),
    # Values out of range, and values of wrong types.
    ('train_eval', 'num_tasks', str(10**12), 'num_tasks is 1000000000000'),
    ('train_eval', 'num_tasks', str(10**30), f'num_tasks is {10**30}'),
    ('train_eval', 'episodes_per_task', str(10**12), '0 episodes of'),
    ('train_eval', 'seed', str(10**30), f'seed is {10**30}'),
    ('Evaluator', 'num_tasks', str(10**12), '1000000000000 tasks with'),
    ('InnerLoop', 'num_steps', str(10**12), 'num_steps is 1000000000000'),
    ('GradientUpdate', 'num_steps', '1001', 'give an integer of at most 1000'),
    ('TrustRegionUpdate', 'num_backtracks', str(10**12), 'num_backtracks is'),
    ('names_match', 'pattern', "'('", "pattern is '('"),
    ('names_match', 'pattern', '3', 'pattern is 3'),
    ('create_actor_network', 'fc_layer_params', '8', 'fc_layer_params is 8'),
    ('create_actor_network', 'encoders', '8', 'encoders is 8'),
    (
      'create_actor_network',
      'encoders',
      '@PictureEncoder()',
      'PictureEncoder reads pictures',
    ),
    ('HalfCheetahVelocity', 'control_cost_weight', '{}', 'weight is {}'),
    ('HalfCheetahDirection', 'reset_noise_scale', '-0.5', 'scale is -0.5'),
    # Arguments that the run itself supplies.
    ('MamlAgent', 'actor_network', 'None', 'actor_network'),
    ('ProximalObjective', 'num_adaptation_steps', '2', 'num_adaptation_steps'),
  ],
)
def test_known_faults_are_refused(
  owner, parameter, value, named, stops_once_built
):
  outcome = _train(gin_settings.Setting(owner, parameter, value))
  _assert_refused_in_one_line(outcome)
  assert named in outcome.lines[0]


@pytest.mark.fuzz
@hypothesis.given(gin_settings.settings())
def test_any_setting_is_accepted_or_refused(stops_once_built, setting):
  outcome = _train(setting)
  if outcome.exit_code:
    _assert_refused_in_one_line(outcome)


@pytest.mark.slow
@hypothesis.settings(max_examples=25)
@hypothesis.given(gin_settings.settings())
def test_any_setting_trains_or_ends_in_one_line(setting):
  # These valid settings would train forever.
  hypothesis.assume(
    setting.parameter not in ('num_iterations', 'num_adaptation_steps')
  )
  outcome = _train(setting)
  if outcome.exit_code == 2:
    _assert_refused_in_one_line(outcome)
    return
  assert outcome.exit_code in (0, 1), outcome.lines
  assert outcome.lines[-1].startswith('train: ')
  if outcome.exit_code == 0:
    (row,) = outcome.rows
    # An iteration need not play all of the listed tasks.
    assert all(
      math.isfinite(float(value))
      for name, value in row.items()
      if not name.startswith('return_task_')
    ), row
