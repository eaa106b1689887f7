"""Ridge regression in float64, and in float32 where there is no float64.

With X the weighted features [T, F] of a task, y its weighted returns and r the
ridge, all solve (X'X + r I) c = X'y.
"""

import numpy as np
import tensorflow as tf
from tf_agents.typing import types

from maml_tf.core import devices
from maml_tf.core import lite_operations

# A Cholesky decomposition in float32 needs eigenvalues above rounding errors.
_SMALLEST_RIDGE = 64 * float(np.finfo(np.float32).eps)


def dtype() -> tf.DType:
  """Returns the type to compute features and solutions in."""
  return tf.float64 if devices.has_float64() else tf.float32


def fit_predict(
  features: types.Tensor,
  returns: types.Tensor,
  weights: types.Tensor,
  ridge: float,
) -> types.Tensor:
  """Fits the coefficients c, and predicts the returns of all frames.

  Args:
    features: A tensor [B, T, F].
    returns: A tensor [B, T, 1].
    weights: A tensor [B, T, 1]: 1 on valid frames, 0 elsewhere.
    ridge: r relative to the mean square sum of a feature.

  Returns:
    A tensor [B, T, 1].
  """
  if lite_operations.are_required():
    return _predict_by_projections(features, returns, weights, ridge)
  coefficients = fit(features, returns, weights, ridge)
  return tf.matmul(features, coefficients)


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
  penalty = _penalty(weighted, ridge)
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


def _penalty(weighted, ridge):
  """Returns sqrt(r) I, a tensor [B, F, F]."""
  num_features = weighted.shape[-1]
  square = tf.reduce_sum(weighted**2, [1, 2], keepdims=True)
  root = tf.sqrt(ridge * square / num_features + 1e-12)
  return root * tf.eye(num_features, dtype=weighted.dtype)


def _predict_by_projections(features, returns, weights, ridge):
  """Does what `fit_predict` does, in float32 and in operations of TFLite.

  This is the modified Gram-Schmidt method on the columns of the matrix

      [ X          y ]
      [ sqrt(r) I  0 ]

  Each column is projected out of all others, and then moves to the end. What
  remains of y is y - Xc. Frames of weight 0 take part in no inner product, so
  what remains of their 0 is -xc. No equations remain to be solved. The columns
  are orthogonal up to rounding errors: a second projection of y removes what
  these leave. The errors of the values are then those of float32 (Bjorck, BIT
  7, 1967).
  """
  num_features = features.shape[-1]
  num_frames = tf.shape(features)[1]
  # The last feature is the constant: begin with it, which centres the others.
  features = tf.reverse(features, [2])
  penalty = _penalty(features * weights, ridge)
  target = tf.concat([returns * weights, tf.zeros_like(penalty[..., :1])], 1)
  rows = tf.concat([tf.concat([features, penalty], 1), target], 2)
  valid = tf.concat([weights, tf.ones_like(penalty[..., :1])], 1)

  def project(index, rows):
    column, others = rows[..., :1], rows[..., 1:]
    others -= column * _coefficients(column, others, valid)
    return index + 1, tf.concat([others, column], 2)

  _, rows = tf.while_loop(
    lambda index, _: index < num_features, project, (0, rows)
  )
  rest, columns = rows[..., :1], rows[..., 1:]
  coefficients = _coefficients(columns, rest, valid)
  rest -= tf.matmul(columns, coefficients)
  return returns * weights - rest[:, :num_frames]


def _coefficients(columns, others, valid):
  """Projects tensors [B, R, M] on columns [B, R, K]; returns [B, K, M]."""
  weighted = columns * valid
  squares = tf.reduce_sum(weighted * columns, 1)[..., tf.newaxis]
  return tf.matmul(weighted, others, transpose_a=True) / squares
