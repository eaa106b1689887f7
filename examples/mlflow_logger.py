"""Logs a run to MLflow: settings as parameters, numbers, pictures and films.

    pip install mlflow
    cd examples
    python -m maml_tf.train --gin_file=point.gin --gin_file=mlflow_logger.gin \\
      --root_dir=../runs/point
    mlflow ui --backend-store-uri sqlite:///mlflow.db

`mlflow_logger.gin` beside this file adds the logger to a run, and names the
database: a file here, or the URL of a server. What `maml_tf.evaluate` and
`maml_tf.render` draw later in the run's folder is added by

    python mlflow_logger.py --root_dir=../runs/point

The parameters are the settings in config.gin. A run that resumes goes on in the
same MLflow run, whose id is in mlflow_run_id.txt in its folder, and logs no
iteration twice.
"""

import argparse
import os
import time

import gin
import mlflow
from mlflow import entities

from maml_tf.run import hyper_parameters

# Their histories tell which iterations and evaluations are logged already.
_ITERATION, _EVALUATION = 'iteration', 'evaluation/mean_step_0'


@gin.configurable(denylist=['root_dir', 'first_iteration'])
class MlflowLogger:
  """Logs to the MLflow run of the folder."""

  def __init__(
    self,
    root_dir,
    first_iteration=1,
    tracking_uri='sqlite:///mlflow.db',
    experiment='maml_tf',
  ):
    # Repeated iterations are found by what is logged.
    del first_iteration
    self._root_dir = os.path.abspath(root_dir)
    self._id_file = os.path.join(self._root_dir, 'mlflow_run_id.txt')
    self._client = mlflow.MlflowClient(tracking_uri)
    self._run_id = self._resume() or self._create(experiment)
    self._last = {
      name: max((metric.step for metric in history), default=0)
      for name in (_ITERATION, _EVALUATION)
      for history in [self._client.get_metric_history(self._run_id, name)]
    }

  def write(self, step, scalars):
    kind = _EVALUATION if _EVALUATION in scalars else _ITERATION
    if step <= self._last[kind]:
      return
    now = int(1000 * time.time())
    # The metrics of the iteration have logged an evaluation's env_steps.
    start = 'evaluation/' if kind == _EVALUATION else ''
    metrics = [
      entities.Metric(name, value, now, step)
      for name, value in scalars.items()
      if name.startswith(start)
    ]
    self._client.log_batch(self._run_id, metrics=metrics)

  def close(self):
    for path in _pictures(self._root_dir):
      self._client.log_artifact(self._run_id, path)
    self._client.set_terminated(self._run_id)

  def _resume(self):
    """Returns the id of the run that was logged from this folder, if any."""
    try:
      with open(self._id_file, encoding='utf-8') as file:
        run_id = file.read()
      self._client.update_run(run_id, status='RUNNING')
      return run_id
    # A new run, or another database.
    except (FileNotFoundError, mlflow.MlflowException):
      return None

  def _create(self, experiment):
    """Creates a run with the settings as its parameters; returns its id."""
    found = self._client.get_experiment_by_name(experiment)
    run = self._client.create_run(
      found.experiment_id
      if found
      else self._client.create_experiment(experiment),
      run_name=os.path.basename(self._root_dir),
    )
    settings = hyper_parameters.read(self._root_dir)
    self._client.log_batch(
      run.info.run_id,
      params=[entities.Param(n, str(v)) for n, v in settings.items()],
    )
    with open(self._id_file, 'w', encoding='utf-8') as file:
      file.write(run.info.run_id)
    return run.info.run_id


def _pictures(root_dir):
  """Returns the paths of the pictures and films in a run's folder."""
  names = sorted(os.listdir(root_dir))
  return [
    os.path.join(root_dir, n) for n in names if n.endswith(('.png', '.gif'))
  ]


def main():
  parser = argparse.ArgumentParser(
    description='Adds pictures to an MLflow run.'
  )
  parser.add_argument('--root_dir', required=True, help='the run')
  parser.add_argument('--tracking_uri', default='sqlite:///mlflow.db')
  parser.add_argument('--experiment', default='maml_tf')
  flags = parser.parse_args()
  if not os.path.isfile(os.path.join(flags.root_dir, 'config.gin')):
    parser.error(f'{flags.root_dir} holds no run: config.gin is missing')
  MlflowLogger(
    flags.root_dir,
    tracking_uri=flags.tracking_uri,
    experiment=flags.experiment,
  ).close()


if __name__ == '__main__':
  main()
