"""The package of legacy Keras: `keras`, or `tf_keras` beside Keras 3.

TF-Agents needs it. Before TensorFlow 2.16 it is the package `keras`.
"""

import tensorflow as tf

PACKAGE = tf.keras.Model.__module__.partition('.')[0]
_NAMES = ('keras', 'tf_keras')


def module_name(name: str) -> str:
  """Returns the name that a module has here.

  Args:
    name: If it is a module of Keras, then under either name of the package.
  """
  package, dot, rest = name.partition('.')
  return f'{PACKAGE}{dot}{rest}' if package in _NAMES else name
