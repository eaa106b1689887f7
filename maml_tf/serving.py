"""The SavedModel that a run leaves: its policy, ready to serve."""

import contextlib
import warnings

from absl import logging
from tf_agents.policies import policy_saver
from tf_agents.policies import tf_policy


def save_policy(policy: tf_policy.TFPolicy, directory: str) -> None:
  """Writes a policy as a SavedModel.

  It takes time steps of any batch size N and a policy state of any number of
  tasks B that divides N.

  Args:
    policy: The policy; its initial state is in the model.
    directory: Where the SavedModel is written.
  """
  with _quiet():
    policy_saver.PolicySaver(policy, batch_size=None).save(directory)


@contextlib.contextmanager
def _quiet():
  """Hides what TensorFlow says of names and types that it encodes by itself."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      yield
  finally:
    logging.set_verbosity(verbosity)
