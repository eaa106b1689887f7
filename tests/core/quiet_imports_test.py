"""A user's first import prints nothing, from any directory."""

import os
import pathlib
import subprocess
import sys

import maml_tf


def _run(code, directory, **environment):
  """Runs Python code in a new process; returns stdout and stderr together."""
  # The new process has another working directory, but must test this package.
  root = pathlib.Path(maml_tf.__file__).parents[1]
  path = os.pathsep.join([str(root), os.environ.get('PYTHONPATH', '')])
  inherited = {
    name: value
    for name, value in os.environ.items()
    if name not in ('TF_CPP_MIN_LOG_LEVEL', 'PYTHONWARNINGS')
  }
  process = subprocess.run(
    [sys.executable, '-c', code],
    cwd=directory,
    env=inherited | {'PYTHONPATH': path.strip(os.pathsep)} | environment,
    stdout=subprocess.PIPE,
    stderr=subprocess.STDOUT,
    text=True,
    check=False,
  )
  assert process.returncode == 0, process.stdout
  return process.stdout


def test_imports_print_nothing(tmp_path):
  code = (
    'import maml_tf; import tensorflow; import tf_agents.agents; '
    'import tf_agents.environments; import gymnasium; import mujoco'
  )
  assert _run(code, tmp_path) == ''
  assert not list(tmp_path.iterdir())


def test_models_of_gymnasium_load_without_a_word(tmp_path):
  code = "import gymnasium, maml_tf; gymnasium.make('HalfCheetah-v5')"
  assert _run(code, tmp_path) == ''
  assert not list(tmp_path.iterdir())


def test_log_level_of_the_user_is_respected(tmp_path):
  code = 'import maml_tf, os; print(os.environ["TF_CPP_MIN_LOG_LEVEL"])'
  output = _run(code, tmp_path, TF_CPP_MIN_LOG_LEVEL='0')
  assert output.splitlines()[-1] == '0'
