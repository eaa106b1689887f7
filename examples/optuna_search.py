"""Lets Optuna choose settings, and stop runs that fall behind.

    pip install optuna
    python examples/optuna_search.py --gin_file=point.gin --trials=20 \\
      --set='InnerLoop.step_size=log(0.01,1)' \\
      --set='MamlAgent.gae_lambda=uniform(0.8,1)' --root_dir=runs/optuna

The settings and ranges are written as for `maml_tf.sweep`. Each trial is a run
of `maml_tf.train` in a folder of its own. Optuna maximises the return after
adaptation, the mean of the last tenth of the iterations. While a run trains,
its metrics.csv tells how it does: one that is below the median of the earlier
trials at the same iteration is stopped.

The study is in study.db in the folder, an SQLite database. After Ctrl-C,
SIGTERM, the end of the terminal or the loss of the machine the same command
goes on, also in the middle of a run.
`optuna-dashboard sqlite:///runs/optuna/study.db` shows it.
"""

import argparse
import os
import signal
import time

import optuna

from maml_tf.core import errors
from maml_tf.run import run_lock
from maml_tf.sweeping import axes as axes_lib
from maml_tf.sweeping import processes
from maml_tf.sweeping import table

_State = optuna.trial.TrialState
# Attributes of trials: the number in the folder's name, and whether the run
# ended by itself. One that was stopped, at whatever moment, lacks the second.
_RUN, _ENDED = 'run', 'ended'
_POLL_SECONDS = 0.5


def suggest(trial, axis):
  """Returns the value that Optuna suggests for a setting, as a text."""
  if axis.range is None:
    return trial.suggest_categorical(axis.setting, axis.values)
  kind, low, high = axis.range
  if kind == 'integer':
    return str(trial.suggest_int(axis.setting, int(low), int(high)))
  return repr(trial.suggest_float(axis.setting, low, high, log=kind == 'log'))


def train(trial, job):
  """Trains a run and returns its return after adaptation.

  Raises:
    optuna.TrialPruned: It falls behind.
    RuntimeError: It fails, or another process trains it.
  """
  try:
    with run_lock.hold(job.root_dir):
      pass
  except errors.UsageError as error:
    raise RuntimeError(str(error)) from error
  process = None
  try:
    process = processes.start(job)
    reported, is_running = 0, True
    while is_running:
      time.sleep(_POLL_SECONDS)
      is_running = process.poll() is None
      returns = table.read_returns(job.root_dir, reported)
      for reported, value in returns:
        trial.report(value, reported)
      if is_running and returns and trial.should_prune():
        raise optuna.TrialPruned
  finally:
    if process:
      process.terminate()  # It saves.
      process.wait()
  if process.returncode not in processes.STOPPED_CODES:
    trial.set_user_attr(_ENDED, True)
  if process.returncode:
    line = processes.last_line(job.log)
    raise RuntimeError(f'{line}; see {job.log}')
  return table.read_ends(job.root_dir).return_after


def retry_stopped(study):
  """Lets the runs go on that were stopped; returns the number of the others."""
  # The last trial of each run.
  runs = {t.user_attrs.get(_RUN, t.number): t for t in study.trials}
  done = 0
  for run, trial in runs.items():
    was_killed = trial.state == _State.RUNNING
    if was_killed:
      study.tell(trial.number, state=_State.FAIL)
    was_stopped = trial.state == _State.FAIL and _ENDED not in trial.user_attrs
    if was_killed or was_stopped:
      study.enqueue_trial(trial.params, user_attrs={_RUN: run})
    else:
      done += trial.state.is_finished()
  return done


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--gin_file', action='append', required=True)
  parser.add_argument('--gin_bindings', action='append', default=[])
  parser.add_argument('--set', action='append', required=True)
  parser.add_argument('--trials', type=int, default=20)
  parser.add_argument('--root_dir', required=True)
  flags = parser.parse_args()
  try:
    axes = [axes_lib.parse(text) for text in flags.set]
  except ValueError as error:
    parser.error(str(error))
  for number in (signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP.
      signal.signal(number, signal.default_int_handler)

  os.makedirs(flags.root_dir, exist_ok=True)
  study = optuna.create_study(
    storage=f'sqlite:///{os.path.abspath(flags.root_dir)}/study.db',
    study_name='maml_tf',
    direction='maximize',
    pruner=optuna.pruners.MedianPruner(n_startup_trials=3, n_min_trials=3),
    load_if_exists=True,
  )
  left = max(flags.trials - retry_stopped(study), 0)

  def objective(trial):
    settings = [f'{axis.setting} = {suggest(trial, axis)}' for axis in axes]
    run = trial.user_attrs.get(_RUN, trial.number)
    job = processes.Job(
      os.path.join(flags.root_dir, f'trial_{run}'),
      flags.gin_file,
      [*flags.gin_bindings, *settings],
    )
    return train(trial, job)

  try:
    # A run that fails ends no other.
    study.optimize(objective, left, catch=(RuntimeError,))
  except KeyboardInterrupt:
    raise SystemExit('stopped; the same command goes on') from None
  if not study.get_trials(states=[_State.COMPLETE]):
    raise SystemExit(f'no run is finished: see the logs in {flags.root_dir}')
  best = study.best_trial
  run = best.user_attrs.get(_RUN, best.number)
  print(f'best: return {best.value:.2f} in {flags.root_dir}/trial_{run}')
  for name, value in best.params.items():
    print(f'  {name} = {value}')


if __name__ == '__main__':
  main()
