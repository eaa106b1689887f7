"""Action distributions as tensors: storing, rebuilding and sampling them."""

import functools
import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import utils as distribution_utils
from tf_agents.networks import network as network_lib
from tf_agents.trajectories import time_step as ts
from tf_agents.typing import types

from maml_tf.core import action_noise
from maml_tf.core import discrete_actions
from maml_tf.core import squashed_distributions

tfd = tfp.distributions

NoiseSpec = action_noise.NoiseSpec

_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


class ActionDistributions:
  """The family of distributions that a policy network returns.

  The network's output is a TFP distribution or a nest of them, one for each
  part of the action. This class stores distributions as tensors, rebuilds them,
  and samples actions from given noise.
  """

  def __init__(self, example: types.NestedDistribution):
    """Records the structure of the distributions.

    Args:
      example: The network's output for a batch of one observation.

    Raises:
      ValueError: If a distribution cannot be sampled from noise, or has a
        parameter without the batch axis or in its bijector.
    """
    self._templates = tf.nest.map_structure(
      distribution_utils.get_parameters, example
    )
    self._flat_templates = tf.nest.flatten(self._templates)
    self._noise_specs = [
      action_noise.spec_of(d) for d in tf.nest.flatten(example)
    ]
    self._tensor_specs = tuple(
      tf.nest.map_structure(functools.partial(_without_batch, d), tensors)
      for d, tensors in zip(tf.nest.flatten(example), self.to_tensors(example))
    )
    if any(
      tf.nest.flatten(specs.get('bijector', ())) for specs in self._tensor_specs
    ):
      raise ValueError(
        'The action distribution has a bijector with tensors as parameters:'
        ' give it numbers, so that it is the same for all policies.'
      )

  @property
  def tensor_specs(self) -> types.NestedTensorSpec:
    """Specs of the result of `to_tensors`, without the leading axes."""
    return self._tensor_specs

  @property
  def noise_specs(self) -> tuple[NoiseSpec, ...]:
    """Specs of the noise for `sample`, one for each part of the action."""
    return tuple(self._noise_specs)

  def to_tensors(
    self, distributions: types.NestedDistribution
  ) -> types.NestedTensor:
    """Returns the parameters of distributions.

    Args:
      distributions: The network's output, batch shape [N, ...].

    Returns:
      A tuple with a dict for each part of the action, which maps names of
      parameters to tensors [N, ...].
    """
    return tuple(
      _without_specs(
        distribution_utils.parameters_to_dict(
          distribution_utils.get_parameters(d), tensors_only=True
        )
      )
      for d in tf.nest.flatten(distributions)
    )

  def from_tensors(
    self, tensors: types.NestedTensor
  ) -> types.NestedDistribution:
    """Rebuilds distributions.

    Args:
      tensors: A result of `to_tensors`, with any leading axes.

    Returns:
      A nest of distributions, with the leading axes as their batch shape.
    """
    return tf.nest.pack_sequence_as(
      self._templates,
      [
        distribution_utils.make_from_parameters(
          distribution_utils.merge_to_parameters_from_dict(t, parameters)
        )
        for t, parameters in zip(self._flat_templates, tensors)
      ],
    )

  def sample(
    self,
    distributions: types.NestedDistribution,
    noise: tuple[types.Tensor, ...],
  ) -> types.NestedTensor:
    """Samples actions from given noise.

    Args:
      distributions: The network's output, batch shape [N, ...].
      noise: One tensor [N, *shape] for each of `noise_specs`.

    Returns:
      A nest of actions [N, ...].
    """
    flat = [
      action_noise.to_action(d, n)
      for d, n in zip(tf.nest.flatten(distributions), noise)
    ]
    return tf.nest.pack_sequence_as(self._templates, flat)

  def draw_noise(
    self, rng: np.random.Generator, outer_shape: tuple[int, ...]
  ) -> tuple[np.ndarray, ...]:
    """Draws noise for `sample` with NumPy.

    Args:
      rng: The generator to draw from.
      outer_shape: The leading axes, such as (N,).

    Returns:
      One float32 array [*outer_shape, *shape] for each of `noise_specs`.
    """
    return tuple(
      rng.standard_normal((*outer_shape, *spec.shape), dtype=np.float32)
      if spec.kind == 'normal'
      else rng.gumbel(size=(*outer_shape, *spec.shape)).astype(np.float32)
      for spec in self._noise_specs
    )

  def random_noise(
    self,
    num: types.Int,
    generator: tf.random.Generator,
    seed: types.Seed | None = None,
  ) -> tuple[types.Tensor, ...]:
    """Draws noise for `sample` with TensorFlow.

    Args:
      num: N, the number of time steps.
      generator: The source of randomness if there is no seed.
      seed: An int seed, or a stateless seed of shape [2].

    Returns:
      One float32 tensor [N, *shape] for each of `noise_specs`.
    """
    if seed is None:
      seed = generator.make_seeds()[:, 0]
    key = tf.cast(seed, tf.int64)
    if key.shape.rank == 0:
      key = tf.stack([key, 0])
    return tuple(
      action_noise.draw_stateless(
        spec, num, tf.random.experimental.stateless_fold_in(key, part)
      )
      for part, spec in enumerate(self._noise_specs)
    )


def example_output(
  network: network_lib.Network, time_step_spec: ts.TimeStep
) -> types.NestedDistribution:
  """Returns a network's output for a batch of one observation of zeros.

  Args:
    network: Without recurrent state.
    time_step_spec: A `TimeStep` of specs: the network sees zeros of them.
  """
  observation = tf.nest.map_structure(
    lambda spec: tf.zeros([1, *spec.shape], spec.dtype),
    time_step_spec.observation,
  )
  step_type = tf.fill([1], ts.StepType.FIRST)
  return network(observation, step_type=step_type, network_state=())[0]


def log_prob(
  distributions: types.NestedDistribution,
  actions: types.NestedTensor,
  outer_dims: int = 1,
) -> types.Tensor:
  """Returns log-probabilities, summed over parts and action dimensions.

  Args:
    distributions: A nest of distributions with `outer_dims` leading axes.
    actions: A nest of tensors with the same leading axes.
    outer_dims: The number of leading axes that remain.

  Returns:
    A tensor [...] of the leading axes.
  """

  return _sum_parts(
    functools.partial(_log_prob, outer_dims=outer_dims), distributions, actions
  )


def kl_divergence(
  p: types.NestedDistribution,
  q: types.NestedDistribution,
  outer_dims: int = 1,
) -> types.Tensor:
  """Returns KL(p || q) in nats, summed over parts and action dimensions.

  Args:
    p: A nest of distributions with `outer_dims` leading axes.
    q: A nest of distributions with the same leading axes.
    outer_dims: The number of leading axes that remain.

  Returns:
    A tensor [...] of the leading axes.
  """

  return _sum_parts(
    functools.partial(_kl_divergence, outer_dims=outer_dims), p, q
  )


def entropy(
  distributions: types.NestedDistribution, outer_dims: int = 1
) -> types.Tensor:
  """Returns entropies in nats, summed over parts and action dimensions.

  Args:
    distributions: A nest of distributions with `outer_dims` leading axes.
    outer_dims: The number of leading axes that remain.

  Returns:
    A tensor [...] of the leading axes.
  """

  return _sum_parts(
    functools.partial(_entropy, outer_dims=outer_dims), distributions
  )


def mode(distributions: types.NestedDistribution) -> types.NestedTensor:
  """Returns the most probable actions, f(mean) for a squashed Gaussian.

  Args:
    distributions: A nest of distributions.

  Raises:
    NotImplementedError: A distribution has no mode.
  """

  def of_part(distribution):
    squashed = squashed_distributions.unwrap(distribution)
    if squashed is None:
      return distribution.mode()
    return squashed.bijector.forward(squashed.base.mode())

  return tf.nest.map_structure(of_part, distributions)


def _log_prob(distribution, action, outer_dims):
  """The log-probability of one part of an action."""
  squashed = squashed_distributions.unwrap(distribution)
  if squashed is not None:
    x = squashed.inverse(action)
    slope = _sum(squashed.log_slope(x), outer_dims)
    return _log_prob(squashed.base, x, outer_dims) - slope
  gaussian = _gaussian(distribution)
  if gaussian is None:
    return _sum(discrete_actions.log_prob(distribution, action), outer_dims)
  z = (action - gaussian.loc) * gaussian.inverse_scale
  return _sum(
    tf.math.log(gaussian.inverse_scale) - _HALF_LOG_2_PI, outer_dims
  ) - 0.5 * _sum(tf.square(z), outer_dims)


def _kl_divergence(p, q, outer_dims):
  """The divergence of one part of an action."""
  squashed_p, squashed_q = map(squashed_distributions.unwrap, (p, q))
  if squashed_p is not None and squashed_q is not None:
    p, q = squashed_p.base, squashed_q.base
  a, b = _gaussian(p), _gaussian(q)
  if a is None or b is None:
    return _sum(p.kl_divergence(q), outer_dims)
  ratio = a.scale * b.inverse_scale
  z = (a.loc - b.loc) * b.inverse_scale
  # The product is more accurate than ratio^2 - 1 if the scales almost agree.
  squares = (ratio - 1.0) * (ratio + 1.0) + tf.square(z)
  return 0.5 * _sum(squares, outer_dims) - _sum(tf.math.log(ratio), outer_dims)


def _entropy(distribution, outer_dims):
  """The entropy of one part of an action."""
  squashed = squashed_distributions.unwrap(distribution)
  if squashed is not None:
    slope = _sum(squashed.mean_log_slope(), outer_dims)
    return _entropy(squashed.base, outer_dims) + slope
  gaussian = _gaussian(distribution)
  if gaussian is None:
    return _sum(distribution.entropy(), outer_dims)
  return _sum(
    0.5 + _HALF_LOG_2_PI - tf.math.log(gaussian.inverse_scale), outer_dims
  )


class _Gaussian(NamedTuple):
  """The parameters of independent normal distributions.

  TFP's formulas divide by the scale several times, and their derivatives more
  often. Divisions are slow, so the functions here compute the inverse once.
  """

  loc: types.Tensor
  scale: types.Tensor
  inverse_scale: types.Tensor


def _gaussian(distribution):
  """Returns the parameters of normal distributions, None for other families."""
  parameters = distribution.parameters
  if isinstance(distribution, tfd.MultivariateNormalDiag):
    scale = parameters.get('scale_diag')
  elif isinstance(distribution, tfd.Normal):
    scale = parameters.get('scale')
  else:
    return None
  if parameters.get('loc') is None or scale is None:
    return None
  return _Gaussian(distribution.loc, scale, tf.math.reciprocal(scale))


def _sum_parts(fn, *nests):
  """Sums `fn` over the parts of nests that have the same structure."""
  return tf.add_n([fn(*parts) for parts in zip(*map(tf.nest.flatten, nests))])


def _sum(value, outer_dims):
  return tf.reduce_sum(value, axis=list(range(outer_dims, value.shape.rank)))


def _without_specs(parameters):
  """Leaves out specs of actions, which TF-Agents takes for tensors."""
  return {
    name: _without_specs(value) if isinstance(value, dict) else value
    for name, value in parameters.items()
    if not isinstance(value, tf.TypeSpec)
  }


def _without_batch(
  distribution: tfd.Distribution, tensor: types.Tensor
) -> tf.TensorSpec:
  """Returns the spec of a distribution's parameter at one time step.

  Raises:
    ValueError: If the parameter has no batch axis.
  """
  if tensor.shape.rank == 0 or tensor.shape[0] != distribution.batch_shape[0]:
    raise ValueError(
      'The action distribution has a parameter of shape'
      f' {tuple(tensor.shape)}, shared by all time steps: give it the batch'
      ' axis of the observations.'
    )
  return tf.TensorSpec(tensor.shape[1:], tensor.dtype)
