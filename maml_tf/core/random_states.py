"""The random numbers of the whole process: seeded for a while, then as before.

Initial parameters are drawn from generators that belong to the process. Whoever
draws them again must not move those of the caller.
"""

from collections.abc import Iterator
import contextlib
import importlib
import random
import threading
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import context as eager_context
from tensorflow.python.framework import op_callbacks

from maml_tf.core import legacy_keras

keras_backend: Any = importlib.import_module(
  f'{legacy_keras.PACKAGE}.src.backend'
)

_LOCK = threading.RLock()
_PHILOX = 1

# An operation that has a state, and one without that draws the same numbers as
# the first call of the other.
_STATELESS = {
  'RandomUniform': tf.raw_ops.StatelessRandomUniformV2,
  'RandomStandardNormal': tf.raw_ops.StatelessRandomNormalV2,
  'TruncatedNormal': tf.raw_ops.StatelessTruncatedNormalV2,
}


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
  """Draws as after `tf.keras.utils.set_random_seed`; then all is as before.

  That function also makes TensorFlow forget where its operations stand in their
  sequences, which the caller's would then repeat. Here new operations draw.

  Args:
    seed: The seed.
  """
  tensorflow: Any = eager_context.context()
  keras = keras_backend._SEED_GENERATOR
  with _LOCK:
    python_state, numpy_state = random.getstate(), np.random.get_state()
    tensorflow_state = tensorflow._seed, getattr(tensorflow, '_rng', None)
    keras_generator = getattr(keras, 'generator', None)
    # No operation of the caller's has this seed, so ours share none with it.
    own_seed = random.SystemRandom().getrandbits(62)

    def draw_anew(op_type, inputs, attrs, outputs, op_name=None, graph=None):
      del op_name, graph
      _draw_anew(seed, op_type, inputs, attrs, outputs)

    op_callbacks.add_op_callback(draw_anew)
    try:
      random.seed(seed)
      np.random.seed(seed)
      keras.generator = random.Random(seed)
      tensorflow._seed, tensorflow._rng = own_seed, random.Random(seed)
      yield
    finally:
      op_callbacks.remove_op_callback(draw_anew)
      random.setstate(python_state)
      np.random.set_state(numpy_state)
      keras.generator = keras_generator
      tensorflow._seed, tensorflow._rng = tensorflow_state


def _draw_anew(seed, op_type, inputs, attrs, outputs) -> None:
  """Replaces an operation's outputs by what it draws first with this seed."""
  name = op_type.decode() if isinstance(op_type, bytes) else op_type
  stateless = _STATELESS.get(name)
  if stateless is None or not tf.executing_eagerly():
    return
  by_name = dict(zip(attrs[::2], attrs[1::2]))
  # TensorFlow passes on the list itself.
  outputs[0] = stateless(
    shape=inputs[0],
    key=tf.constant([seed], tf.uint64),
    counter=tf.constant([0, by_name['seed2']], tf.uint64),
    alg=_PHILOX,
    dtype=outputs[0].dtype,
  )
