"""Ridge regression in float64, and in float32 where there is no float64.

With X the weighted features [T, F] of a task, y its weighted returns and r the
ridge, both solve (X'X + r I) c = X'y.
"""

import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import devices

# A Cholesky decomposition in float32 needs eigenvalues above rounding errors.
_SMALLEST_RIDGE = 64 * float(np.finfo(np.float32).eps)


def dtype() -> tf.DType:
  """Returns the type to compute features and solutions in."""
  return tf.float64 if devices.has_float64() else tf.float32


def fit(
  features: types.Tensor,
  returns: types.Tensor,
  weights: types.Tensor,
  ridge: float,
) -> types.Tensor:
  """Solves for the coefficients c of the features.

  In float64 the normal equations are solved. In float32 they would lose half of
  the digits, and could have negative eigenvalues. So the same c comes from the
  QR decomposition of X on top of sqrt(r) I.

  Args:
    features: A tensor [B, T, F].
    returns: A tensor [B, T, 1].
    weights: A tensor [B, T, 1]: 1 on valid frames, 0 elsewhere.
    ridge: r relative to the mean square sum of a feature.

  Returns:
    A tensor [B, F, 1].
  """
  num_features = features.shape[-1]
  if features.dtype == tf.float64:
    gram = tf.matmul(features * weights, features, transpose_a=True)
    moment = tf.matmul(features * weights, returns, transpose_a=True)
    return solve(gram, num_features, moment, ridge)
  weighted = features * weights
  square = tf.reduce_sum(weighted**2, [1, 2], keepdims=True)
  root = tf.sqrt(ridge * square / num_features + 1e-12)
  penalty = root * tf.eye(num_features, dtype=features.dtype)
  q, r = tf.linalg.qr(tf.concat([weighted, penalty], 1))
  target = tf.concat([returns * weights, tf.zeros_like(penalty[..., :1])], 1)
  moment = tf.matmul(q, target, transpose_a=True)
  return tf.linalg.triangular_solve(r, moment, lower=False)


def solve(
  gram: types.Tensor,
  num_features: int,
  right_side: types.Tensor,
  ridge: float,
) -> types.Tensor:
  """Solves (gram + r I) x = right side by a Cholesky decomposition.

  In float32 a small ridge is enlarged, so that the decomposition exists.

  Args:
    gram: A tensor [B, n, n]: X'X or XX'.
    num_features: F.
    right_side: A tensor [B, n, 1].
    ridge: r relative to the mean square sum of a feature.

  Returns:
    A tensor [B, n, 1].
  """
  if gram.dtype == tf.float32:
    ridge = max(ridge, num_features * _SMALLEST_RIDGE)
  scale = ridge * tf.linalg.trace(gram) / num_features + 1e-12
  identity = tf.eye(tf.shape(gram)[-1], dtype=gram.dtype)
  gram += scale[:, tf.newaxis, tf.newaxis] * identity
  return tf.linalg.cholesky_solve(tf.linalg.cholesky(gram), right_side)
