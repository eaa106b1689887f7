"""A client of a SavedModel that has only TensorFlow; run as a program.

  python serving_client.py MODEL RECORDED.npz OUT.npz

RECORDED contains `batch_size`, the inputs of `adapt` without the state for each
of `num_adaptation_steps` steps ('0.reward'), and the observations of the
adapted tasks ('query.observation'). OUT receives the adapted state and the
answer of `act_adapted`.
"""

import importlib.abc
import sys

import numpy as np
import tensorflow as tf

FORBIDDEN = (
  *('maml_tf', 'tf_agents', 'tensorflow_probability', 'gin'),
  # The package of legacy Keras where `keras` is version 3.
  'tf_keras',
)


class _Forbid(importlib.abc.MetaPathFinder):
  """Prevents imports of packages that a client should not need."""

  def find_spec(self, fullname, path, target=None):
    if fullname.split('.')[0] in FORBIDDEN:
      raise ImportError(f'{fullname} is forbidden here')


def _part(recorded, prefix):
  return {
    name.removeprefix(prefix): tf.constant(recorded[name])
    for name in recorded.files
    if name.startswith(prefix)
  }


def main(model_dir, recorded_path, out_path):
  model = tf.saved_model.load(model_dir)
  initial_state, adapt, act = (
    model.signatures[name] for name in ('initial_state', 'adapt', 'act_adapted')
  )
  recorded = np.load(recorded_path)
  state = initial_state(batch_size=tf.constant(int(recorded['batch_size'])))
  for step in range(recorded['num_adaptation_steps']):
    state = adapt(**_part(recorded, f'{step}.'), **state)
  answer = act(**_part(recorded, 'query.'), **state)
  np.savez(out_path, **{k: v.numpy() for k, v in {**state, **answer}.items()})


if __name__ == '__main__':
  sys.meta_path.insert(0, _Forbid())
  main(*sys.argv[1:])
