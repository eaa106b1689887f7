"""Writes a SavedModel that acts and adapts and needs only tensorflow."""

from collections.abc import Iterator
import contextlib
import os
import warnings

from absl import logging
import numpy as np
import tensorflow as tf
from tf_agents.policies import policy_saver

from maml_tf.core import files
from maml_tf.core import paths
from maml_tf.core import version
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.serving import served_policy
from maml_tf.serving import signatures as serving_signatures
from maml_tf.serving import versions


def save_adaptive(
  agent: maml_agent.MamlAgent,
  directory: str,
  version: versions.Version | None = None,
) -> str:
  """Writes a SavedModel that acts for many tasks and adapts to them.

  Clients with TF-Agents find the functions of `PolicySaver`. `action` samples
  actions; its info is part of the frames that `adapt` takes. `get_metadata`
  returns the version of maml_tf that wrote the model. Further functions are
  `adapt(experience, policy_state, step)` and, if the distributions have a mode,
  `deterministic_action(time_step, policy_state)`. Other clients find signatures
  of named tensors: `initial_state`, `serving_default`, `act_adapted` and
  `adapt`.

  Args:
    agent: The agent, with all options of its inner loop.
    directory: The directory of the SavedModel. It appears only when it is
      complete, and replaces an older SavedModel there.
    version: None, or `versions.NEXT` or a number: the directory is a folder of
      numbered versions, as TensorFlow Serving reads them, and gets a new one.

  Returns:
    The path of the SavedModel.

  Raises:
    ValueError: The directory contains something else, or two parts of the
      observation or action have the same name.
    OSError: The directory cannot be written.
  """
  check_directory(directory, version=version)
  with quiet():
    policy = served_policy.ServedPolicy(agent.collect_policy)
    saver = _saver(agent, policy)
    _register_deterministic_action(policy, saver)
    signatures = serving_signatures.adaptive(
      policy, _register_adapt(agent, saver)
    )
    return _write(saver, signatures, directory, version)


def save_fixed_task(
  agent: maml_agent.MamlAgent,
  parameters: inner_loop_lib.Parameters,
  directory: str,
  deterministic: bool = False,
  version: versions.Version | None = None,
) -> str:
  """Writes a SavedModel that acts for one task, with a policy without a state.

  It has the functions of `PolicySaver` and the signature `serving_default`.

  Args:
    agent: The agent.
    parameters: The task's parameters, without a leading B.
    directory: As for `save_adaptive`.
    deterministic: Whether it acts by the mode of the distribution.
    version: As for `save_adaptive`.

  Returns:
    The path of the SavedModel.

  Raises:
    ValueError: As for `save_adaptive`, or the distributions have no mode.
    OSError: The directory cannot be written.
  """
  check_directory(directory, version=version)
  with quiet():
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
    return _write(saver, signatures, directory, version)


def check_directory(
  directory: str,
  name: str = 'directory',
  version: versions.Version | None = None,
) -> None:
  """Checks that a SavedModel can be written to a directory, and read there.

  Args:
    directory: It need not exist.
    name: What the path is, such as '--export_dir'.
    version: As for `save_adaptive`.

  Raises:
    ValueError: The path is neither free nor a SavedModel, or has this version
      already; it cannot be written, or TensorFlow cannot read from it.
  """
  if version is not None:
    versions.check_folder(directory, version, name)
    return
  paths.check(name, directory)
  if os.path.lexists(directory) and not (
    os.path.isdir(directory)
    and (
      not os.listdir(directory)
      or tf.saved_model.contains_saved_model(directory)
    )
  ):
    raise ValueError(
      f'{directory} exists and is not a SavedModel: give another {name}'
    )
  paths.check_folder(name, directory, len('.-12345678'))
  paths.check_writable(os.path.dirname(os.path.abspath(directory)))


def load_parameters(
  agent: maml_agent.MamlAgent, path: str
) -> inner_loop_lib.Parameters:
  """Reads one task's adapted parameters from an .npz file.

  Args:
    agent: The agent that adapted.
    path: The file of one task. `np.savez(path, *policy_state)` wrote it, or
      `np.savez(path, **state)` for the named state of a SavedModel. The arrays
      may have a leading B = 1.

  Returns:
    The parameters, without a leading B.

  Raises:
    ValueError: The file does not contain the parameters of such a task.
    OSError: The file cannot be read.
  """
  arrays = _load_arrays(path)
  specs = serving_signatures.state_spec(agent.collect_policy)
  parameters = []
  for number, spec in enumerate(specs):
    array = arrays.get(spec.name, arrays.get(f'arr_{number}'))
    if array is None:
      raise ValueError(
        f'{path} has no {spec.name} (or arr_{number}): write it with'
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
  """Returns the arrays of an .npz file, by name."""
  try:
    with np.load(path) as file:
      return {name: file[name] for name in file.files}
  except OSError:
    raise
  # A damaged file raises any of many errors of zipfile, zlib and NumPy.
  except Exception as error:
    raise ValueError(
      f'{path} is not an .npz file: write it with np.savez(path, *policy_state)'
    ) from error


def _saver(agent, policy):
  with tf.device('CPU'):
    recorded = tf.Variable(version.VERSION, trainable=False)
  return policy_saver.PolicySaver(
    policy,
    batch_size=None,
    train_step=agent.train_step_counter,
    metadata={'maml_tf_version': recorded},
  )


def _register_adapt(agent, saver):
  """Adds `adapt` to the model; returns a function for the signatures.

  The returned function takes a step for each task, [B]. All forms of `adapt`
  call its one graph.
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

  # Saving would trace a function again unless it is concrete.
  adapt_concrete = adapt_from.get_concrete_function()
  adapt.get_concrete_function(*arguments)
  for step in (tf.TensorSpec([], tf.int32), steps_spec):
    adapt.get_concrete_function(*arguments, step)
  saver.register_concrete_function('adapt', adapt)
  return adapt_concrete


def _register_deterministic_action(policy, saver):
  """Adds `deterministic_action` if the distributions have a mode."""
  action = tf.function(policy.deterministic_action, autograph=False)
  try:
    action.get_concrete_function(
      served_policy.batched(policy.time_step_spec),
      served_policy.batched(policy.policy_state_spec),
    )
  except NotImplementedError:
    return
  saver.register_concrete_function('deterministic_action', action)


def _write(saver, signatures, directory, version):
  """Puts the model in place once it is complete; returns where it is."""
  # PolicySaver's own signatures are named by numbers and paths.
  saver.signatures.clear()
  saver.signatures.update(signatures)
  if version is not None:
    return versions.add(directory, version, saver.save)
  with files.replace_directory(directory) as new:
    saver.save(new)
  return directory


@contextlib.contextmanager
def quiet() -> Iterator[None]:
  """Hides TensorFlow's warnings about names and types that it encodes."""
  verbosity = logging.get_verbosity()
  logging.set_verbosity(logging.ERROR)
  try:
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      yield
  finally:
    logging.set_verbosity(verbosity)
