"""Replaces operations of a SavedModel that TFLite lacks by formulas.

They are mostly gradients, which TensorFlow has as operations of their own.
"""

from collections.abc import Callable
import inspect
import os
from typing import NamedTuple

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tf_agents.typing import types

_FILE = 'saved_model.pb'


class _Replacement(NamedTuple):
  """What replaces an operation.

  Attributes:
    output: The name of the operation's output, as TensorFlow defines it.
    fn: A function of the operation's inputs.
  """

  output: str
  fn: Callable[..., types.Tensor]


def _relu_gradient(gradient, features):
  return tf.where(features > 0, gradient, tf.zeros_like(gradient))


def _relu6_gradient(gradient, features):
  is_inside = (features > 0) & (features < 6)
  return tf.where(is_inside, gradient, tf.zeros_like(gradient))


def _elu_gradient(gradient, outputs):
  return tf.where(outputs < 0, (outputs + 1) * gradient, gradient)


def _softplus_gradient(gradient, features):
  return gradient * tf.sigmoid(features)


def _reciprocal_gradient(reciprocal, gradient):
  return -gradient * reciprocal * reciprocal


def _atanh(x):
  return 0.5 * tf.math.log((1 + x) / (1 - x))


_REPLACEMENTS = {
  'ReluGrad': _Replacement('backprops', _relu_gradient),
  'Relu6Grad': _Replacement('backprops', _relu6_gradient),
  'EluGrad': _Replacement('backprops', _elu_gradient),
  'SoftplusGrad': _Replacement('backprops', _softplus_gradient),
  'ReciprocalGrad': _Replacement('z', _reciprocal_gradient),
  'Atanh': _Replacement('y', _atanh),
}


def functions() -> dict[str, tf.types.experimental.ConcreteFunction]:
  """Returns the formulas of float32, by operation, which a model must hold."""
  tensor = tf.TensorSpec(None, tf.float32)
  return {
    name: tf.function(replacement.fn, autograph=False).get_concrete_function(
      *[tensor] * len(inspect.signature(replacement.fn).parameters)
    )
    for name, replacement in _REPLACEMENTS.items()
  }


def apply(
  directory: str, formulas: dict[str, tf.types.experimental.ConcreteFunction]
) -> None:
  """Calls the formulas in place of their operations in a SavedModel's graphs.

  Args:
    directory: The directory of the SavedModel, which holds the formulas.
    formulas: The result of `functions`.
  """
  path = os.path.join(directory, _FILE)
  model = saved_model_pb2.SavedModel()
  with open(path, 'rb') as file:
    model.ParseFromString(file.read())
  for meta_graph in model.meta_graphs:
    for function in meta_graph.graph_def.library.function:
      _replace_nodes(function, formulas)
  with open(path, 'wb') as file:
    file.write(model.SerializeToString())


def _replace_nodes(function, formulas):
  """Replaces the nodes of a FunctionDef."""
  renamed = {}
  for node in function.node_def:
    replacement = _REPLACEMENTS.get(node.op)
    if (
      replacement is None or node.attr['T'].type != tf.float32.as_datatype_enum
    ):
      continue
    concrete = formulas[node.op]
    node.op = 'PartitionedCall'
    node.attr.clear()
    for name, specs in (
      ('Tin', concrete.inputs),
      ('Tout', concrete.outputs),
    ):
      node.attr[name].list.type.extend(t.dtype.as_datatype_enum for t in specs)
    node.attr['f'].func.name = concrete.name
    renamed[f'{node.name}:{replacement.output}:0'] = f'{node.name}:output:0'
  for node in function.node_def:
    inputs = [renamed.get(name, name) for name in node.input]
    del node.input[:]
    node.input.extend(inputs)
  for name, source in list(function.ret.items()):
    function.ret[name] = renamed.get(source, source)
