"""The Optuna example against the real library, if it is installed."""

import importlib
import os
import threading
import time

import pytest

from maml_tf.run import run_lock
from maml_tf.sweeping import axes
from tests.examples import example_process
from tests.sweeping import script_job

optuna = pytest.importorskip('optuna')

_State = optuna.trial.TrialState
_TINY = (
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'train_eval.export_saved_model = False',
  'train_eval.num_iterations = 2',
  'create_actor_network.fc_layer_params = (4,)',
  'GradientUpdate.num_steps = 1',
)

# As a run does: it writes a row in each iteration, and saves on SIGTERM.
_RUN = """
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(143))
with open(folder / 'metrics.csv', 'w') as file:
  file.write('iteration,env_steps,wall_seconds,return_step_0,return_step_1\\n')
  for i in range(1, {iterations} + 1):
    file.write(f'{{i}},{{10 * i}},{{i}},0,{value}\\n')
    file.flush()
    time.sleep(0.2)
"""


@pytest.fixture(name='example')
def import_example():
  return importlib.import_module('examples.optuna_search')


@pytest.fixture(name='study')
def create_study():
  pruner = optuna.pruners.MedianPruner(n_startup_trials=1)
  return optuna.create_study(direction='maximize', pruner=pruner)


def _job(folder, value, iterations):
  script = _RUN.format(value=value, iterations=iterations)
  return script_job.ScriptJob(str(folder), [script, str(folder)], [])


def test_a_run_that_falls_behind_is_stopped(example, study, tmp_path):
  study.optimize(lambda t: example.train(t, _job(tmp_path / '0', 5, 6)), 1)
  start = time.monotonic()
  study.optimize(lambda t: example.train(t, _job(tmp_path / '1', 1, 300)), 1)
  assert time.monotonic() - start < 30
  first, second = study.trials
  assert (first.state, first.value) == (_State.COMPLETE, 5)
  assert second.state == _State.PRUNED
  assert set(second.intermediate_values.values()) == {1}
  # Every iteration is reported, however often the file is read.
  assert list(first.intermediate_values) == [1, 2, 3, 4, 5, 6]


def test_a_run_that_fails_is_told(example, study, tmp_path):
  job = script_job.ScriptJob(str(tmp_path), ['print("no"); exit(2)'], [])
  study.optimize(lambda t: example.train(t, job), 1, catch=(RuntimeError,))
  assert study.trials[0].state == _State.FAIL
  assert example.retry_stopped(study) == 1


def test_a_run_that_another_process_trains_is_left_for_later(
  example, study, tmp_path
):
  with run_lock.hold(str(tmp_path)):
    study.optimize(
      lambda t: example.train(t, _job(tmp_path, 5, 1)), 1, catch=(RuntimeError,)
    )
  assert study.trials[0].state == _State.FAIL
  assert example.retry_stopped(study) == 0
  assert study.trials[1].state == _State.WAITING


def test_a_signal_before_the_run_begins_leaves_it_for_later(example, study):
  def objective(trial):
    raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    study.optimize(objective, 1)
  assert example.retry_stopped(study) == 0


def test_what_was_stopped_goes_on_in_its_folder(example, study, tmp_path):
  axis = axes.parse('f.x=log(0.1,10)')

  def objective(trial):
    example.suggest(trial, axis)
    threading.Timer(1, lambda: os.kill(os.getpid(), 2)).start()
    return example.train(trial, _job(tmp_path / 'run', 5, 300))

  with pytest.raises(KeyboardInterrupt):
    study.optimize(objective, 1)
  # A fresh trial, whose process is killed.
  killed = study.ask()
  example.suggest(killed, axis)
  study.add_trial(optuna.trial.create_trial(value=1.0))
  assert example.retry_stopped(study) == 1
  # What waits already is not added again.
  assert example.retry_stopped(study) == 1
  again = [study.ask() for _ in range(2)]
  assert [trial.user_attrs['run'] for trial in again] == [0, 1]
  for trial, old in zip(again, study.trials):
    assert example.suggest(trial, axis) == repr(old.params['f.x'])


def test_suggestions_are_values_of_gin(example):
  trial = optuna.trial.FixedTrial(
    {'f.a': '(1, 2)', 'f.b': 3, 'f.c': 1e-3, 'f.d': 0.5}
  )
  texts = ('f.a=(1, 2),3', 'f.b=integer(1,5)', 'f.c=log(1e-4,1)')
  texts += ('f.d=uniform(0,1)',)
  suggested = [example.suggest(trial, axes.parse(text)) for text in texts]
  assert suggested == ['(1, 2)', '3', '0.001', '0.5']


@pytest.mark.slow
def test_a_study_of_real_runs_goes_on(tmp_path):
  flags = ['--gin_file=point.gin', '--set=InnerLoop.step_size=log(0.01,1)']
  flags += [f'--gin_bindings={binding}' for binding in _TINY]
  flags += ['--root_dir=study']
  example_process.run('optuna_search', [*flags, '--trials=1'], tmp_path)
  done = example_process.run('optuna_search', [*flags, '--trials=2'], tmp_path)
  assert 'best: return ' in done.stdout
  (study,) = optuna.get_all_study_summaries(
    f'sqlite:///{tmp_path}/study/study.db'
  )
  assert study.n_trials == 2
  folders = sorted(p.name for p in (tmp_path / 'study').iterdir())
  assert folders == ['study.db', 'trial_0', 'trial_1']
  done = example_process.run(
    'optuna_search', [*flags, '--set=x=,'], tmp_path, returncode=2
  )
  assert 'empty value' in done.stderr.splitlines()[-1]
