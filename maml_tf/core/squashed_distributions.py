"""Gaussians behind a bijector, such as the tanh-Gaussian of SAC.

With y = f(x) and x Gaussian, in each dimension:

  log p(y) = log p(x) - log|f'(x)|,  H(y) = H(x) + E[log|f'(x)|]

KL(p || q) is that of the Gaussians if both have the same f. Paper: SAC,
arXiv:1801.01290, appendix C.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
from tf_agents.distributions import utils as distribution_utils
from tf_agents.typing import types

tfd = tfp.distributions
tfb = tfp.bijectors

# Points of the Gauss-Hermite quadrature of E[log|f'(x)|]. For a tanh, the error
# is below 2e-4 nats up to a deviation of 2, and 0.012 at 4.
_NUM_NODES = 32
# Values at the ends of the range are moved towards its middle by the smallest
# of these shares, in units of the rounding error, at which x is finite.
_SHRINKAGES = (0.5, 4, 32, 512, 8192)


class Squashed(NamedTuple):
  """A distribution of f(x).

  Attributes:
    base: The distribution of x: Normal or MultivariateNormalDiag.
    bijector: f, which acts on each dimension alone.
  """

  base: tfd.Distribution
  bijector: tfb.Bijector

  def inverse(self, value: types.Tensor) -> types.Tensor:
    """Returns x, finite also at the ends of the range and beyond.

    A tanh in float32 is exactly 1 from x = 9 on. There the result is the
    largest x whose f(x) differs from the end. Values beyond the range, such as
    the zeros of boundaries may be, give 0.

    Args:
      value: A tensor of values f(x), to which no gradient flows.
    """
    value = tf.stop_gradient(value)
    middle = self.bijector.forward(tf.zeros_like(value))
    inverse = self.bijector.inverse(value)
    for shrinkage in _SHRINKAGES:
      share = shrinkage * np.finfo(value.dtype.as_numpy_dtype).eps
      inner = middle + (value - middle) * (1 - share)
      inverse = tf.where(
        tf.math.is_finite(inverse), inverse, self.bijector.inverse(inner)
      )
    return tf.where(tf.math.is_finite(inverse), inverse, tf.zeros_like(inverse))

  def log_slope(self, x: types.Tensor) -> types.Tensor:
    """Returns log|f'(x)| of each dimension, shaped like x."""
    return self.bijector.forward_log_det_jacobian(x, event_ndims=0)

  def mean_log_slope(self) -> types.Tensor:
    """Returns E[log|f'(x)|] of each dimension, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NUM_NODES)
    loc, scale = self.base.loc, self.base.stddev()
    shape = [_NUM_NODES] + [1] * loc.shape.rank
    nodes, weights = (
      tf.constant(a.reshape(shape), loc.dtype)
      for a in (nodes, weights / np.sqrt(2 * np.pi))
    )
    return tf.reduce_sum(weights * self.log_slope(loc + scale * nodes), axis=0)


def unwrap(distribution: tfd.Distribution) -> Squashed | None:
  """Returns the parts of a squashed Gaussian; None for other distributions.

  Nested bijectors are chained. `Independent` is removed: log-probabilities are
  summed over all dimensions afterwards.
  """
  if isinstance(distribution, tfd.Independent):
    return unwrap(distribution.distribution)
  if isinstance(distribution, distribution_utils.SquashToSpecNormal):
    return Squashed(
      distribution.input_distribution,
      tfb.Chain(
        [
          tfb.Shift(distribution.action_means),
          tfb.Scale(distribution.action_magnitudes),
          tfb.Tanh(),
        ]
      ),
    )
  if not isinstance(distribution, tfd.TransformedDistribution):
    return None
  base, bijector = distribution.distribution, distribution.bijector
  if isinstance(base, tfd.Independent):
    base = base.distribution
  inside = unwrap(base)
  if inside is not None:
    base, bijector = inside.base, tfb.Chain([bijector, inside.bijector])
  is_elementwise = (
    bijector.forward_min_event_ndims == bijector.inverse_min_event_ndims == 0
  )
  if is_elementwise and isinstance(
    base, (tfd.Normal, tfd.MultivariateNormalDiag)
  ):
    return Squashed(base, bijector)
  return None
