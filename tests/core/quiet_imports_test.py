"""A user's first import prints nothing, from any directory."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import maml_tf


def _run(code, directory, exit_code=0, **environment):
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
    errors='surrogateescape',
    check=False,
  )
  assert process.returncode == exit_code, process.stdout
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


# What a TensorFlow prints before it reads the level, and what it must not lose.
_EARLY = (
  'WARNING: All log messages before absl::InitializeLog() is called are',
  'I0000 00:00:1795751639.890318   24651 port.cc:153] oneDNN custom',
  'E0000 00:00:1795752005.103372 7 cuda/cuda_platform.cc:52] failed call to',
)
_LATE = (
  'F0000 00:00:1795752005.103372 7 cpu_feature_guard.cc:9] needs AVX',
  'WARNING: something else',
  # Not UTF-8.
  'caf\udce9',
)


def _import_double(directory, last, **arguments):
  """Imports a TensorFlow that prints natively, then does something."""
  (directory / 'tensorflow').mkdir()
  lines = '\n'.join([*_EARLY, *_LATE, '']).encode('utf-8', 'surrogateescape')
  (directory / 'tensorflow' / '__init__.py').write_text(
    f'import os\nos.write(2, {lines!r})\n{last}'
  )
  code = (
    f'import sys; sys.path.insert(0, {str(directory)!r}); '
    "sys.modules['maml_tf'] = type(sys)('maml_tf'); "
    f"sys.modules['maml_tf'].__path__ = {list(maml_tf.__path__)!r}; "
    'from maml_tf.core import quiet_imports; '
    'quiet_imports.import_tensorflow(); '
    "print('after', file=sys.stderr)"
  )
  return _run(code, directory, **arguments).splitlines()


def test_lines_before_the_level_is_read_are_dropped(tmp_path):
  assert _import_double(tmp_path, '') == [*_LATE, 'after']


def test_a_native_error_is_still_printed(tmp_path):
  lines = _import_double(tmp_path, 'os.abort()', exit_code=-signal.SIGABRT)
  assert lines == [*_LATE]


def test_a_process_that_goes_on_writing_is_not_waited_for(tmp_path):
  last = (
    'import subprocess, sys\n'
    'child = subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL)\n'
    'import atexit; atexit.register(child.kill)'
  )
  start = time.monotonic()
  assert _import_double(tmp_path, last) == [*_LATE, 'after']
  assert time.monotonic() - start < 30


def test_an_exception_is_still_printed(tmp_path):
  lines = _import_double(tmp_path, 'raise ImportError("no")', exit_code=1)
  assert lines[: len(_LATE)] == [*_LATE]
  assert lines[-1] == 'ImportError: no'


def test_all_lines_are_printed_if_the_user_wants_them(tmp_path):
  lines = _import_double(tmp_path, '', TF_CPP_MIN_LOG_LEVEL='0')
  assert lines == [*_EARLY, *_LATE, 'after']


def test_a_closed_stderr_stays_closed(tmp_path):
  code = (
    'import os; os.close(2); import maml_tf\n'
    'try: os.fstat(2)\nexcept OSError: print("closed")'
  )
  assert _run(code, tmp_path) == 'closed\n'
