"""A client of a SavedModel that has TensorFlow alone; run as a program.

  python serving_client.py MODEL RECORDED.npz OUT.npz

RECORDED holds what `adapt` takes, without the state, for each of
`num_adaptation_steps` steps ('0.reward'), `batch_size`, and the observations
that the adapted tasks see ('query.observation'). OUT gets the adapted state and
what `act_adapted` answers.
"""

import importlib.abc
import sys

import numpy as np
import tensorflow as tf

FORBIDDEN = ('maml_tf', 'tf_agents', 'tensorflow_probability', 'gin')


class _Forbid(importlib.abc.MetaPathFinder):
  """Makes the packages that a client need not have impossible to import."""

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
