"""The noise from which actions are sampled, for each distribution."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.typing import types

from maml_tf.core import discrete_actions
from maml_tf.core import squashed_distributions

tfd = tfp.distributions


class NoiseSpec(NamedTuple):
  """The noise from which one part of an action is sampled.

  Attributes:
    kind: 'normal' (standard normal) or 'gumbel' (standard Gumbel).
    shape: The shape of the noise for one time step.
  """

  kind: str
  shape: tuple[int, ...]


def spec_of(distribution: tfd.Distribution) -> NoiseSpec:
  """Returns the noise for one distribution of batch shape [1, ...].

  Raises:
    ValueError: If a distribution of this family cannot be sampled from noise.
  """
  if isinstance(distribution, (tfd.Normal, tfd.MultivariateNormalDiag)):
    shape = (*distribution.batch_shape[1:], *distribution.event_shape)
    return NoiseSpec('normal', tuple(shape))
  if isinstance(distribution, tfd.Categorical):
    return NoiseSpec('gumbel', tuple(distribution.logits_parameter().shape[1:]))
  if isinstance(distribution, (tfd.TransformedDistribution, tfd.Independent)):
    return spec_of(distribution.distribution)
  squashed = squashed_distributions.unwrap(distribution)
  if squashed is not None:
    return spec_of(squashed.base)
  raise ValueError(
    'Actions can be drawn from Normal, MultivariateNormalDiag, Categorical and'
    f' transformations of them, not from {type(distribution).__name__}: use'
    ' another projection network.'
  )


def draw_stateless(
  spec: NoiseSpec, num: types.Int, seed: types.Tensor
) -> types.Tensor:
  """Draws float32 noise [num, *shape]."""
  shape = [num, *spec.shape]
  if spec.kind == 'normal':
    return tf.random.stateless_normal(shape, seed)
  tiny = np.finfo(np.float32).tiny
  uniform = tf.random.stateless_uniform(shape, seed, minval=tiny)
  return -tf.math.log(-tf.math.log(uniform))


def to_action(
  distribution: tfd.Distribution, noise: types.Tensor
) -> types.Tensor:
  """Returns one part of an action: the distribution's sample for the noise.

  Args:
    distribution: Of batch shape [N, ...].
    noise: A tensor [N, *shape] of the distribution's `NoiseSpec`.
  """
  if isinstance(distribution, tfd.Categorical):
    return discrete_actions.sample(distribution, noise)
  if isinstance(distribution, tfd.MultivariateNormalDiag):
    scale = distribution.stddev()
    return distribution.loc + scale * tf.cast(noise, scale.dtype)
  if isinstance(distribution, tfd.Normal):
    scale = distribution.scale
    return distribution.loc + scale * tf.cast(noise, scale.dtype)
  if isinstance(distribution, tfd.Independent):
    return to_action(distribution.distribution, noise)
  squashed = squashed_distributions.unwrap(distribution)
  if squashed is not None:
    return squashed.bijector.forward(to_action(squashed.base, noise))
  return distribution.bijector.forward(
    to_action(distribution.distribution, noise)
  )
