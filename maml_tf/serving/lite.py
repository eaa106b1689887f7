"""Writes a TFLite model that acts and adapts by builtin operations alone."""

from collections.abc import Iterator
import contextlib
import os
import re
import tempfile

import tensorflow as tf

from maml_tf.core import checks
from maml_tf.core import files
from maml_tf.core import paths
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import maml_agent
from maml_tf.serving import lite_replacements
from maml_tf.serving import lite_signatures
from maml_tf.serving import saved_model

FILE_NAME = 'model.tflite'

# Constants of the model grow with the number of frames; it holds 2 GB at most.
_MAX_FRAMES = 1_000_000

# In the converter's messages.
_MISSING = re.compile(r'(?m)^(?:TF Select|Custom) ops: (.*)$')


def save_adaptive_lite(
  agent: maml_agent.MamlAgent, directory: str, num_frames: int
) -> str:
  """Writes a TFLite model that acts for one task and adapts to it.

  Its signatures are those of `lite_signatures.adaptive`. It computes in
  float32. Up to rounding errors, its results are those of the SavedModel of
  `save_adaptive`.

  Args:
    agent: The agent, with all options of its inner loop.
    directory: The directory that receives `model.tflite`, or has an older one,
      which is replaced. Its other files stay.
    num_frames: T, the frames that a step of adaptation takes.

  Returns:
    The path of the file.

  Raises:
    ValueError: TFLite lacks an operation that the agent needs, the agent is not
      of float32, or the directory contains something else at that path.
    OSError: The file cannot be written.
  """
  check_lite_directory(directory)
  checks.integer(
    'num_frames = episodes * (horizon + 1)', num_frames, 1, _MAX_FRAMES
  )
  _check_types(agent)
  with saved_model.quiet():
    functions = lite_signatures.adaptive(agent, num_frames)
    return _write(functions, directory)


def save_fixed_task_lite(
  agent: maml_agent.MamlAgent,
  parameters: inner_loop_lib.Parameters,
  directory: str,
  deterministic: bool = False,
) -> str:
  """Writes a TFLite model that acts for one task, without a state.

  Args:
    agent: The agent.
    parameters: The task's parameters, without a leading B.
    directory: As for `save_adaptive_lite`.
    deterministic: Whether it acts without noise.

  Returns:
    The path of the file.

  Raises:
    ValueError: As for `save_adaptive_lite`.
    OSError: The file cannot be written.
  """
  check_lite_directory(directory)
  _check_types(agent)
  with saved_model.quiet():
    functions = lite_signatures.fixed_task(agent, parameters, deterministic)
    return _write(functions, directory)


def check_lite_directory(directory: str, name: str = 'directory') -> None:
  """Checks that a TFLite model can be written to a directory.

  Args:
    directory: It need not exist.
    name: What the path is, such as '--export_dir'.

  Raises:
    ValueError: The path cannot be written, or something else stands there.
  """
  paths.check_output_folder(name, directory, [FILE_NAME])


def _check_types(agent):
  for spec in agent.collect_policy.policy_state_spec:
    if spec.dtype != tf.float32:
      raise ValueError(
        f'{spec.name} is {spec.dtype.name}: TFLite adapts in float32, so give'
        ' the networks that type'
      )


def _write(functions, directory):
  """Converts functions and replaces the file; returns its path."""
  model = _convert(functions)
  os.makedirs(directory, exist_ok=True)
  path = os.path.join(directory, FILE_NAME)
  with files.replace_file(path) as scratch, open(scratch, 'wb') as file:
    file.write(model)
  return path


def _convert(functions: lite_signatures.Functions) -> bytes:
  """Returns the TFLite model whose signatures are functions.

  Raises:
    ValueError: TFLite lacks an operation.
  """
  module = tf.Module()
  # Saving wants to find all variables.
  module.captured = [v for f in functions.values() for v in f.graph.variables]
  module.formulas = lite_replacements.functions()
  # Only by way of a SavedModel does a TFLite model get several signatures.
  with tempfile.TemporaryDirectory() as folder:
    tf.saved_model.save(module, folder, signatures=functions)
    lite_replacements.apply(folder, module.formulas)
    converter = tf.lite.TFLiteConverter.from_saved_model(
      folder, signature_keys=list(functions)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    try:
      with _silent_stderr():
        return converter.convert()
    # TensorFlow does not export the class of the converter's errors.
    except Exception as error:
      missing = _MISSING.findall(str(error))
      if not missing:
        raise
      raise ValueError(
        f'TFLite has no builtin operation for {", ".join(missing)}, which this'
        ' run needs: export a SavedModel, or train with other parts'
      ) from error


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
  """Drops what the converter's native code prints; it raises the same."""
  with contextlib.ExitStack() as stack:
    try:
      kept = os.dup(2)
    except OSError:  # It is closed.
      yield
      return
    stack.callback(os.close, kept)
    stack.callback(os.dup2, kept, 2)
    with open(os.devnull, 'wb') as nothing:
      os.dup2(nothing.fileno(), 2)
    yield
