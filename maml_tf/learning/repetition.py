"""Repeats a step: unrolled in the graph, or as a loop that is compiled once.

XLA compiles what is unrolled as often as it stands in the graph. In a loop it
compiles a step once, however many follow.
"""

from collections.abc import Callable
from typing import TypeVar

import tensorflow as tf
from tf_agents.typing import types

_State = TypeVar('_State', bound=types.NestedTensor)


def repeat(
  step: Callable[[types.Int, _State], _State],
  state: _State,
  num_steps: int,
  in_loop: bool,
) -> _State:
  """Takes the steps one after another.

  Args:
    step: (index, state) -> the next state, a nest of the same structure, shapes
      and types. It may assign variables. The index is an integer, or in a loop
      a scalar int32 tensor.
    state: The state before the first step, a nest of tensors.
    num_steps: The number of steps.
    in_loop: Whether the graph contains a loop. False: it contains every step.
      Sums over replicas fail in a loop.

  Returns:
    The state after the last step.
  """
  if not in_loop:
    for index in range(num_steps):
      state = step(index, state)
    return state
  _, state = tf.while_loop(
    lambda index, _: index < num_steps,
    lambda index, state: (index + 1, step(index, state)),
    (tf.constant(0), state),
    # The next step reads the variables that this one assigns.
    parallel_iterations=1,
  )
  return state


def zeros_like_result(
  fn: Callable[[], types.NestedTensor],
) -> types.NestedTensor:
  """Returns zeros like what a function would return, without executing it.

  They are a first state if only later ones are read.

  Args:
    fn: A function without arguments, whose tensors have known shapes.
  """
  traced = tf.function(fn, autograph=False).get_concrete_function()
  return tf.nest.map_structure(
    lambda t: tf.zeros(t.shape, t.dtype), traced.structured_outputs
  )
