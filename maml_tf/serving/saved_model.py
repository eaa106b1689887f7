"""The SavedModel that acts and adapts, for whoever has tensorflow alone."""

from collections.abc import Iterator
import contextlib
import glob
import os
import shutil
import warnings

from absl import logging
import numpy as np
import tensorflow as tf
from tf_agents.policies import policy_saver

from maml_tf.core import files
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.serving import served_policy
from maml_tf.serving import signatures as serving_signatures


def save_adaptive(agent: maml_agent.MamlAgent, directory: str) -> None:
  """Writes a SavedModel that acts for many tasks and adapts to them.

  For TF-Agents it has the functions of `PolicySaver` (`action` draws, and its
  info is what `adapt` needs), `deterministic_action(time_step, policy_state)`
  if the distributions have a mode, and `adapt(experience, policy_state, step)`.
  For others there are signatures of named tensors: `initial_state`,
  `serving_default`, `act_adapted` and `adapt`.

  Args:
    agent: The agent, with all options of its inner loop.
    directory: Where the SavedModel is written, in one piece; an older one there
      is replaced.

  Raises:
    ValueError: The directory holds something else, or two parts of the
      observation or action have the same name.
    OSError: The directory cannot be written.
  """
  _check_directory(directory)
  with _quiet():
    policy = served_policy.ServedPolicy(agent.collect_policy)
    saver = _saver(agent, policy)
    _register_deterministic_action(policy, saver)
    signatures = serving_signatures.adaptive(
      policy, _register_adapt(agent, saver)
    )
    _write(saver, signatures, directory)


def save_fixed_task(
  agent: maml_agent.MamlAgent,
  parameters: inner_loop_lib.Parameters,
  directory: str,
  deterministic: bool = False,
) -> None:
  """Writes a SavedModel that acts for one task: a policy without a state.

  It has the functions of `PolicySaver` and the signature `serving_default`.

  Args:
    agent: The agent.
    parameters: The task's parameters, without the leading B.
    directory: As for `save_adaptive`.
    deterministic: Whether it acts by the distribution's mode.

  Raises:
    ValueError: As for `save_adaptive`, or the distributions have no mode.
    OSError: The directory cannot be written.
  """
  _check_directory(directory)
  with _quiet():
    adapted = agent.adapted_policy(tuple(tf.Variable(p) for p in parameters))
    policy = served_policy.ServedPolicy(
      adapted, is_fixed=True, deterministic=deterministic
    )
    try:
      saver = _saver(agent, policy)
    except NotImplementedError as error:
      raise ValueError(
        'the action distributions have no mode: export without --deterministic'
      ) from error
    signatures = serving_signatures.fixed_task(policy)
    _write(saver, signatures, directory)


def remove_leftovers(directory: str) -> None:
  """Removes what a process left that ended while it wrote there.

  Args:
    directory: As for `save_adaptive`. Nothing else may write to it now.
  """
  parent, name = os.path.split(os.path.abspath(directory))
  for leftover in glob.glob(os.path.join(glob.escape(parent), f'.{name}-*')):
    shutil.rmtree(leftover, ignore_errors=True)


def load_parameters(
  agent: maml_agent.MamlAgent, path: str
) -> inner_loop_lib.Parameters:
  """Reads one task's adapted parameters from an .npz file.

  Args:
    agent: The agent whose parameters they are.
    path: What `np.savez(path, *policy_state)` wrote, or `np.savez(path,
      **state)` of a SavedModel's named state; of one task, with or without the
      leading B = 1.

  Returns:
    The parameters, without the leading B.

  Raises:
    ValueError: The file does not hold them.
    OSError: It cannot be read.
  """
  arrays = _load_arrays(path)
  specs = serving_signatures.state_spec(agent.collect_policy)
  parameters = []
  for number, spec in enumerate(specs):
    array = arrays.get(spec.name, arrays.get(f'arr_{number}'))
    if array is None:
      raise ValueError(
        f'{path} has no {spec.name} (or arr_{number}): write it by'
        ' np.savez(path, *policy_state)'
      )
    if array.shape[:1] == (1,) and array.ndim == len(spec.shape):
      array = array[0]
    if array.shape != spec.shape[1:]:
      raise ValueError(
        f'{spec.name} of {path} has shape {array.shape}: give one task of this'
        f' run, {tuple(spec.shape[1:])}'
      )
    if not np.all(np.isfinite(array)):
      raise ValueError(f'{spec.name} of {path} is not finite')
    parameters.append(tf.constant(array, spec.dtype))
  return tuple(parameters)


def _load_arrays(path):
  """The arrays of an .npz file, by name."""
  try:
    with np.load(path) as file:
      return {name: file[name] for name in file.files}
  except OSError:
    raise
  # What damage makes of it has as many names as zipfile, zlib and NumPy raise.
  except Exception as error:
    raise ValueError(
      f'{path} is no .npz file: write it by np.savez(path, *policy_state)'
    ) from error


def _saver(agent, policy):
  return policy_saver.PolicySaver(
    policy, batch_size=None, train_step=agent.train_step_counter
  )


def _register_adapt(agent, saver):
  """Adds `adapt` to the model and returns it for the signatures.

  What is returned takes steps [B]: one graph, which all forms of `adapt` call.
  """
  arguments = (
    served_policy.batched(agent.collect_data_spec, 2),
    served_policy.batched(agent.collect_policy.policy_state_spec),
  )
  steps_spec = tf.TensorSpec([None], tf.int32)

  @tf.function(input_signature=(*arguments, steps_spec), autograph=False)
  def adapt_from(experience, policy_state, steps):
    return agent.adapt(experience, policy_state, step=steps)

  @tf.function(autograph=False)
  def adapt(experience, policy_state, step=0):
    num_tasks = tf.shape(policy_state[0])[0]
    steps = tf.broadcast_to(step, [num_tasks])
    return adapt_concrete(experience, policy_state, steps)

  # Saving retraces what is not concrete.
  adapt_concrete = adapt_from.get_concrete_function()
  adapt.get_concrete_function(*arguments)
  for step in (tf.TensorSpec([], tf.int32), steps_spec):
    adapt.get_concrete_function(*arguments, step)
  saver.register_concrete_function('adapt', adapt)
  return adapt_concrete


def _register_deterministic_action(policy, saver):
  """Adds `deterministic_action`, if there is a mode."""
  action = tf.function(policy.deterministic_action, autograph=False)
  try:
    action.get_concrete_function(
      served_policy.batched(policy.time_step_spec),
      served_policy.batched(policy.policy_state_spec),
    )
  except NotImplementedError:
    return
  saver.register_concrete_function('deterministic_action', action)


def _check_directory(directory):
  """Raises ValueError where something stands that is not ours to replace."""
  if os.path.lexists(directory) and not (
    os.path.isdir(directory)
    and (
      not os.listdir(directory)
      or tf.saved_model.contains_saved_model(directory)
    )
  ):
    raise ValueError(
      f'{directory} exists and is no SavedModel: give another directory'
    )


def _write(saver, signatures, directory):
  """Replaces the directory once the whole model is written."""
  # PolicySaver's own signatures are named by numbers and paths.
  saver.signatures.clear()
  saver.signatures.update(signatures)
  with files.replace_directory(directory) as new:
    saver.save(new)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Hides what TensorFlow says of names and types that it encodes by itself."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      yield
  finally:
    logging.set_verbosity(verbosity)
