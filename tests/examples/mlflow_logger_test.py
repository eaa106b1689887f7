"""The MLflow example against the real library, if it is installed."""

import subprocess
import sys

import pytest

from tests.examples import logged_run

mlflow = pytest.importorskip('mlflow')


def _logged(tmp_path):
  client = mlflow.MlflowClient(f'sqlite:///{tmp_path}/mlflow.db')
  experiment = client.get_experiment_by_name('maml_tf')
  (run,) = client.search_runs([experiment.experiment_id])
  return client, run


def test_mlflow_gets_settings_numbers_and_pictures(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(str(logged_run.EXAMPLES))
  root_dir = tmp_path / "it's, a run"
  logged_run.train(root_dir, 'mlflow_logger', 2)
  client, run = _logged(tmp_path)
  assert run.info.run_name == root_dir.name
  assert run.info.status == 'FINISHED'
  assert run.data.params['InnerLoop.step_size'] == '0.1'

  # It resumes: no iteration is logged twice, though one would be repeated.
  logged_run.draw(root_dir)
  logged_run.train(root_dir, 'mlflow_logger', 3)
  client, run = _logged(tmp_path)
  expected = logged_run.rows(root_dir)
  for name in ('return_step_1', 'env_steps', 'learning_rate'):
    history = client.get_metric_history(run.info.run_id, name)
    assert [(metric.step, metric.value) for metric in history] == [
      (step, row[name]) for step, row in enumerate(expected, 1)
    ]
  name = 'evaluation/mean_step_1'
  (evaluation,) = client.get_metric_history(run.info.run_id, name)
  assert evaluation.step == 2
  paths = [file.path for file in client.list_artifacts(run.info.run_id)]
  assert sorted(paths) == ['adaptation.gif', 'evaluation.png']

  # So does the command, after the run.
  (root_dir / 'other.png').write_bytes(
    (root_dir / 'evaluation.png').read_bytes()
  )
  done = subprocess.run(
    [sys.executable, str(logged_run.EXAMPLES / 'mlflow_logger.py')]
    + [f'--root_dir={root_dir}'],
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr
  client, run = _logged(tmp_path)
  paths = [file.path for file in client.list_artifacts(run.info.run_id)]
  assert 'other.png' in paths
