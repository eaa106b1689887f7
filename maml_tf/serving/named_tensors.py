"""Converts nests to flat dicts of tensors for the signatures of a SavedModel.

A tensor's name is its path through the nest, joined by '_'. A client then needs
neither the nest's classes nor those of this package, and can pass the name as a
Python keyword argument.
"""

from collections.abc import Callable
from collections.abc import Sequence
import re

import tensorflow as tf
from tf_agents.typing import types
from tf_agents.utils import nest_utils

Named = dict[str, types.Tensor]


def name_specs(
  spec: types.NestedTensorSpec,
  prefix: str = '',
  outer_shape: Sequence[int | None] = (),
) -> types.NestedTensorSpec:
  """Names every leaf after its path.

  Args:
    spec: A nest of `TensorSpec`.
    prefix: The beginning of every name.
    outer_shape: Axes to add in front of every shape.

  Returns:
    A nest of `TensorSpec` like `spec`.
  """
  return tf.nest.pack_sequence_as(
    spec,
    [
      tf.TensorSpec(
        [*outer_shape, *leaf.shape], leaf.dtype, _identifier(prefix, path)
      )
      for path, leaf in nest_utils.flatten_with_joined_paths(spec)
    ],
  )


def signature(
  fn: Callable[..., Named], *specs: types.NestedTensorSpec
) -> tf.types.experimental.ConcreteFunction:
  """Converts a function of nests to a function of named tensors.

  Args:
    fn: A function that takes a nest for each of `specs` and returns named
      tensors.
    *specs: Nests of `TensorSpec` with names.

  Returns:
    A concrete function, which can be saved as a signature.

  Raises:
    ValueError: Two tensors have the same name.
  """
  flat = tf.nest.flatten(specs)
  names = [spec.name for spec in flat]
  repeated = sorted({name for name in names if names.count(name) > 1})
  if repeated:
    raise ValueError(
      f'{", ".join(repeated)} would each name several tensors of the'
      ' SavedModel: rename the parts of the observation or of the action'
    )

  @tf.function(input_signature=flat, autograph=False)
  def flat_fn(*tensors):
    return fn(*tf.nest.pack_sequence_as(specs, tensors))

  # Saving would trace a function again unless it is concrete.
  return flat_fn.get_concrete_function()


def name_leaves(
  nest: types.NestedTensor, spec: types.NestedTensorSpec
) -> Named:
  """Returns the leaves of a nest under the names of its spec."""
  return {
    leaf.name: tensor
    for leaf, tensor in zip(
      tf.nest.flatten(spec), tf.nest.flatten(nest), strict=True
    )
  }


def _identifier(*parts):
  return re.sub('[^0-9A-Za-z]+', '_', '_'.join(p for p in parts if p))
