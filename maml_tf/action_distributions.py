"""Action distributions as tensors: stored, rebuilt, drawn from given noise."""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import utils as distribution_utils
from tf_agents.typing import types

tfd = tfp.distributions


class NoiseSpec(NamedTuple):
  """What one part of an action is drawn from.

  Attributes:
    kind: 'normal' (standard normal) or 'gumbel' (standard Gumbel).
    shape: The noise's shape for one time step.
  """

  kind: str
  shape: tuple[int, ...]


class ActionDistributions:
  """The family of distributions that a policy network returns.

  The network's output is one TFP distribution or a nest of them, one for each
  part of the action. Log-probabilities, divergences and entropies are summed
  over the parts and over the action's dimensions; what remains are the
  `outer_dims` leading axes.
  """

  def __init__(self, example: types.NestedDistribution):
    """Remembers the structure of the distributions.

    Args:
      example: What the network returns for a batch of observations.

    Raises:
      ValueError: A distribution cannot be drawn from noise, or has a parameter
        without the batch axis.
    """
    self._templates = tf.nest.map_structure(
      distribution_utils.get_parameters, example
    )
    self._flat_templates = tf.nest.flatten(self._templates)
    self._noise_specs = [_noise_spec(d) for d in tf.nest.flatten(example)]
    self._tensor_specs = tuple(
      tf.nest.map_structure(functools.partial(_without_batch, d), tensors)
      for d, tensors in zip(tf.nest.flatten(example), self.to_tensors(example))
    )

  @property
  def tensor_specs(self) -> types.NestedTensorSpec:
    """Specs of what `to_tensors` returns, without the leading axes."""
    return self._tensor_specs

  @property
  def noise_specs(self) -> tuple[NoiseSpec, ...]:
    """What `sample` wants, one entry for each part of the action, in order."""
    return tuple(self._noise_specs)

  def to_tensors(
    self, distributions: types.NestedDistribution
  ) -> types.NestedTensor:
    """Returns the tensors that define the distributions: a tuple of dicts."""
    return tuple(
      distribution_utils.parameters_to_dict(
        distribution_utils.get_parameters(d), tensors_only=True
      )
      for d in tf.nest.flatten(distributions)
    )

  def from_tensors(
    self, tensors: types.NestedTensor
  ) -> types.NestedDistribution:
    """Rebuilds the distributions from what `to_tensors` returned."""
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
    """Draws actions from noise, so that the caller owns the randomness.

    Args:
      distributions: What the network returned, batch shape [N, ...].
      noise: One tensor [N, *shape] for each of `noise_specs`.

    Returns:
      A nest of actions, [N, ...].
    """
    flat = [
      _sample(d, n) for d, n in zip(tf.nest.flatten(distributions), noise)
    ]
    return tf.nest.pack_sequence_as(self._templates, flat)

  def draw_noise(
    self, rng: np.random.Generator, outer_shape: tuple[int, ...]
  ) -> tuple[np.ndarray, ...]:
    """Draws noise for `sample` outside TensorFlow, float32 [*outer, *shape]."""
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
    """Draws noise for `sample` inside TensorFlow, float32 [num, *shape].

    Args:
      num: The number of time steps N.
      generator: Where the numbers come from if there is no seed.
      seed: An int seed, or a stateless one of shape [2].

    Returns:
      One tensor for each of `noise_specs`.
    """
    if seed is None:
      seed = generator.make_seeds()[:, 0]
    seed = tf.cast(seed, tf.int64)
    if seed.shape.rank == 0:
      seed = tf.stack([seed, 0])
    return tuple(
      _stateless_noise(
        spec, num, tf.random.experimental.stateless_fold_in(seed, part)
      )
      for part, spec in enumerate(self._noise_specs)
    )


def log_prob(
  distributions: types.NestedDistribution,
  actions: types.NestedTensor,
  outer_dims: int = 1,
) -> types.Tensor:
  """Log-probability of `actions`, summed over parts and action dimensions."""
  return _sum(
    lambda d, a: d.log_prob(a),
    outer_dims,
    tf.nest.flatten(distributions),
    tf.nest.flatten(actions),
  )


def kl_divergence(
  p: types.NestedDistribution,
  q: types.NestedDistribution,
  outer_dims: int = 1,
) -> types.Tensor:
  """KL(p || q), summed over parts and action dimensions."""
  return _sum(
    lambda a, b: a.kl_divergence(b),
    outer_dims,
    tf.nest.flatten(p),
    tf.nest.flatten(q),
  )


def entropy(
  distributions: types.NestedDistribution, outer_dims: int = 1
) -> types.Tensor:
  """Entropy in nats, summed over parts and action dimensions."""
  return _sum(lambda d: d.entropy(), outer_dims, tf.nest.flatten(distributions))


def _sum(fn, outer_dims, distributions, *others):
  total = 0.0
  for distribution, *rest in zip(distributions, *others):
    rest = [_elementwise(r) for r in rest]
    value = fn(_elementwise(distribution), *rest)
    total += tf.reduce_sum(
      value, axis=list(range(outer_dims, value.shape.rank))
    )
  return total


def _elementwise(value):
  """A diagonal Gaussian as independent normals: the same, without solves."""
  if isinstance(value, tfd.MultivariateNormalDiag):
    parameters = value.parameters
    if (
      parameters.get('loc') is not None
      and parameters.get('scale_diag') is not None
    ):
      return tfd.Normal(parameters['loc'], parameters['scale_diag'])
  return value


def _without_batch(
  distribution: tfd.Distribution, tensor: types.Tensor
) -> tf.TensorSpec:
  """The spec of one of the distribution's parameters at one time step."""
  if tensor.shape.rank == 0 or tensor.shape[0] != distribution.batch_shape[0]:
    raise ValueError(
      'The action distribution has a parameter of shape'
      f' {tuple(tensor.shape)} that all time steps share: give it the batch'
      ' axis of the observations.'
    )
  return tf.TensorSpec(tensor.shape[1:], tensor.dtype)


def _noise_spec(distribution: tfd.Distribution) -> NoiseSpec:
  """Returns what one distribution, of batch shape [1, ...], is drawn from."""
  if isinstance(distribution, (tfd.Normal, tfd.MultivariateNormalDiag)):
    shape = (*distribution.batch_shape[1:], *distribution.event_shape)
    return NoiseSpec('normal', tuple(shape))
  if isinstance(distribution, tfd.Categorical):
    return NoiseSpec('gumbel', tuple(distribution.logits_parameter().shape[1:]))
  if isinstance(distribution, (tfd.TransformedDistribution, tfd.Independent)):
    base = getattr(distribution, 'input_distribution', None)
    return _noise_spec(distribution.distribution if base is None else base)
  raise ValueError(
    'Actions can be drawn from Normal, MultivariateNormalDiag, Categorical and'
    f' transformations of them, not from {type(distribution).__name__}: use'
    ' another projection network.'
  )


def _stateless_noise(
  spec: NoiseSpec, num: types.Int, seed: types.Tensor
) -> types.Tensor:
  """Draws float32 noise [num, *shape]."""
  shape = [num, *spec.shape]
  if spec.kind == 'normal':
    return tf.random.stateless_normal(shape, seed)
  tiny = np.finfo(np.float32).tiny
  uniform = tf.random.stateless_uniform(shape, seed, minval=tiny)
  return -tf.math.log(-tf.math.log(uniform))


def _sample(
  distribution: tfd.Distribution, noise: types.Tensor
) -> types.Tensor:
  if isinstance(distribution, tfd.Categorical):
    logits = distribution.logits_parameter()
    return tf.argmax(
      logits + tf.cast(noise, logits.dtype), -1, distribution.dtype
    )
  if isinstance(distribution, tfd.MultivariateNormalDiag):
    scale = distribution.stddev()
    return distribution.loc + scale * tf.cast(noise, scale.dtype)
  if isinstance(distribution, tfd.Normal):
    scale = distribution.scale
    return distribution.loc + scale * tf.cast(noise, scale.dtype)
  if isinstance(distribution, tfd.Independent):
    return _sample(distribution.distribution, noise)
  return distribution.bijector.forward(
    _sample(distribution.distribution, noise)
  )
