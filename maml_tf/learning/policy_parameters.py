"""The meta-parameters that the policy depends on, apart from a value network's.

A trust region bounds how far the policy moves. Along parameters of the value
network alone its KL is flat: a natural gradient would have any length there. So
both parts of theta are learned apart, each as a problem of its own tensors.
"""

from collections.abc import Callable
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import parameters as parameters_lib
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_problem
from maml_tf.learning import meta_updates


def is_of_policy(
  network: parameters_lib.ParameterizedNetwork,
  inner_loop: inner_loop_lib.InnerLoop,
) -> inner_loop_lib.Theta:
  """Tells for each tensor of theta whether the policy depends on it.

  It does not depend on the variables of the value network, except on layers
  that both share, nor on step sizes of those variables. A clipped inner
  gradient (`InnerLoop.max_gradient_norm`) is the only other influence, which is
  not counted.

  Args:
    network: The networks as a function of their parameters.
    inner_loop: The inner loop, already built.

  Returns:
    A `Theta` of bools.
  """
  in_policy = {id(v) for v in network.network.trainable_variables}
  parameters = tuple(id(v) in in_policy for v in network.variables_tuple)
  sizes = inner_loop.variables_tuple
  if len(sizes) == len(inner_loop.adapting):
    step_sizes = tuple(parameters[i] for i in inner_loop.adapting)
  else:
    step_sizes = (True,) * len(sizes)
  return inner_loop_lib.Theta(parameters, step_sizes)


def build(
  update: meta_updates.MetaUpdate,
  network: parameters_lib.ParameterizedNetwork,
  inner_loop: inner_loop_lib.InnerLoop,
) -> None:
  """Creates a meta-update's own variables.

  If it has the method `restrict_to_policy`, as trust regions have, it is first
  told which tensors of theta the policy depends on.

  Args:
    update: The meta-update.
    network: The networks as a function of their parameters.
    inner_loop: The inner loop, already built.
  """
  restrict = getattr(update, 'restrict_to_policy', None)
  if restrict is not None:
    restrict(is_of_policy(network, inner_loop))
  update.build(
    inner_loop_lib.Theta(
      tuple(network.variables_tuple), tuple(inner_loop.variables_tuple)
    )
  )


class _PartialProblem:
  """A meta-problem as a function of some tensors of theta; the others stay."""

  def __init__(
    self,
    problem: meta_problem.MetaProblem,
    theta: inner_loop_lib.Theta,
    is_part: Sequence[bool],
  ):
    """Stores the problem.

    Args:
      problem: One meta-batch as functions of theta.
      theta: The meta-parameters, variables, from which the tensors outside the
        part are read at every call.
      is_part: Whether each tensor of theta, flattened, belongs to the part.
    """
    self._problem = problem
    self._theta = theta
    self._is_part = is_part
    self.in_loop = problem.in_loop

  def _whole(self, part: Sequence[Any], others: Callable[[tf.Variable], Any]):
    """Returns a nest like theta: the part, and a function of the others."""
    remaining = iter(part)
    flat = [
      next(remaining) if is_part else others(variable)
      for is_part, variable in zip(self._is_part, tf.nest.flatten(self._theta))
    ]
    return tf.nest.pack_sequence_as(self._theta, flat)

  def _part(self, whole):
    return select(whole, self._is_part)


class PolicyProblem(_PartialProblem):
  """The objective without the value loss, as a function of the policy's part.

  It has the methods of `MetaProblem` that a trust region calls, with a list of
  tensors in place of theta.
  """

  def gradient(self, part):
    metrics, gradient, finite_tasks = self._problem.objective_gradient(
      self._whole(part, tf.identity)
    )
    return metrics, self._part(gradient), finite_tasks

  def loss_and_kl(self, part):
    return self._problem.objective_and_kl(self._whole(part, tf.identity))

  def kl_hvp(self, part, vector):
    product = self._problem.kl_hvp(
      self._whole(part, tf.identity), self._whole(vector, tf.zeros_like)
    )
    return self._part(product)


class ValueProblem(_PartialProblem):
  """The outer loss as a function of the part that only values depend on.

  Its gradient is that of the value loss, which `GradientUpdate` follows.
  """

  def gradient(self, part):
    metrics, gradient, finite_tasks = self._problem.gradient(
      self._whole(part, tf.identity)
    )
    return metrics, self._part(gradient), finite_tasks


def select(
  theta: types.NestedTensor, is_part: Sequence[bool]
) -> list[types.Tensor]:
  """Returns the tensors of a flattened nest at which `is_part` is True."""
  return [t for t, is_in in zip(tf.nest.flatten(theta), is_part) if is_in]
