"""The package beside TensorFlow and Keras 3, which a program imports first."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from maml_tf.environments.rendering import headless_graphics

_VARIABLE = 'TF_USE_LEGACY_KERAS'
_HAS_KERAS_3 = tuple(map(int, tf.__version__.split('.')[:2])) >= (2, 16)

pytestmark = pytest.mark.skipif(
  not _HAS_KERAS_3, reason='TensorFlow 2.15 cannot stand beside Keras 3'
)


def _run(code):
  """Runs a program; returns its exit code, stdout and last line of stderr."""
  # The package has set it in this process.
  inherited = {k: v for k, v in os.environ.items() if k != _VARIABLE}
  inherited['MUJOCO_GL'] = 'egl'
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, env=inherited
  )
  last = done.stderr.splitlines()[-1:] or ['']
  return done.returncode, done.stdout, last[0]


def test_tensorflow_may_be_imported_first():
  code, out, _ = _run(
    'import tensorflow as tf; tf.constant(1)\n'
    'import maml_tf\n'
    'from tf_agents.networks import q_rnn_network\n'
    'import tensorflow.keras.layers\n'
    'print(tf.keras.Model.__module__.partition(".")[0])'
  )
  assert (code, out) == (0, 'tf_keras\n')


def test_keras_3_in_use_is_one_line():
  code, out, line = _run(
    'import tensorflow as tf; tf.keras.layers.Dense(1); import maml_tf'
  )
  assert (code, out) == (1, '')
  assert line.startswith('maml_tf.core.stack.StackError: tf.keras is Keras 3.')


def test_models_of_keras_3_train_beside_it():
  code, out, line = _run(
    'import maml_tf, keras, numpy as np, tensorflow as tf\n'
    'assert keras.__version__ >= "3" and tf.keras.Model is not keras.Model\n'
    'model = keras.Sequential([keras.layers.Dense(1)])\n'
    'model.compile("sgd", "mse")\n'
    'x = np.ones((8, 2), np.float32)\n'
    'model.fit(x, x[:, :1], verbose=0)\n'
    'print(model.predict(x, verbose=0).shape)'
  )
  assert (code, out) == (0, '(8, 1)\n'), line


def test_pictures_beside_a_tensorflow_that_was_first_are_right_or_one_line():
  if not headless_graphics.works('egl'):
    pytest.skip('EGL is not installed')
  code, out, line = _run(
    'import tensorflow, maml_tf\n'
    'from maml_tf.core import errors\n'
    'from maml_tf.environments.rendering import headless_graphics\n'
    'try: print(type(headless_graphics.create_context(8, 8)).__name__)\n'
    'except errors.UsageError as error: print(error)'
  )
  assert code == 0, line
  # Mesa has a copy of LLVM, as TensorFlow has; libraries of GPUs have none.
  assert out in (
    'GLContext\n',
    'MuJoCo cannot render beside TensorFlow, which was imported first: import '
    'maml_tf before tensorflow\n',
  )
