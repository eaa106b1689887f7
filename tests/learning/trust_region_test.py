"""Trust-region steps by hand and by dense linear algebra."""

import functools
import math

import gin
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.learning import trust_region
from tests.learning import function_problem

COMPILED = {
  'eager': lambda fn: fn,
  'graph': tf.function,
  'xla': functools.partial(tf.function, jit_compile=True),
}


def _problem(loss_fn, kl_fn):
  """The problem of two functions of theta."""

  def gradient(theta):
    with tf.GradientTape() as tape:
      tape.watch(theta)
      loss = loss_fn(theta)
    return {'loss': loss}, tape.gradient(loss, theta), tf.ones([1])

  def kl_hvp(theta, vector):
    with tf.GradientTape() as outer:
      outer.watch(theta)
      with tf.GradientTape() as inner:
        inner.watch(theta)
        kl = kl_fn(theta)
      gradients = inner.gradient(kl, theta)
    return outer.gradient(
      gradients, theta, vector, unconnected_gradients='zero'
    )

  return function_problem.FunctionProblem(
    gradient=gradient,
    loss_and_kl=lambda theta: (loss_fn(theta), kl_fn(theta)),
    kl_hvp=kl_hvp,
  )


def _scalar_problem(loss_fn, kl_fn):
  """The problem of two functions of a single number."""
  return _problem(lambda theta: loss_fn(*theta), lambda theta: kl_fn(*theta))


def _scalar(value=0.0):
  return tf.Variable(value, dtype=tf.float64)


# ---- Conjugate gradients.

SHAPES = [(2, 3), (), (4,), (1, 2, 1)]
SIZE = 13


def _split(vector):
  """A vector [13] as a nest of tensors of `SHAPES`."""
  sizes = [math.prod(shape) for shape in SHAPES]
  parts = [
    tf.reshape(part, shape)
    for part, shape in zip(tf.split(vector, sizes), SHAPES)
  ]
  return {'a': parts[0], 'b': (parts[1], parts[2]), 'c': [parts[3]]}


def _join(nest):
  return tf.concat([tf.reshape(t, [-1]) for t in tf.nest.flatten(nest)], 0)


def _solve(matrix, b, num_steps):
  matrix = tf.constant(matrix)
  x = trust_region.conjugate_gradient(
    lambda v: _split(tf.linalg.matvec(matrix, _join(v))),
    _split(tf.constant(b)),
    num_steps,
  )
  tf.nest.assert_same_structure(x, _split(tf.constant(b)))
  assert [t.shape for t in tf.nest.flatten(x)] == SHAPES
  return _join(x).numpy()


def _matrix(eigenvalues, seed=0):
  """A symmetric matrix [13, 13] of these eigenvalues, and a vector [13]."""
  random = np.random.default_rng(seed)
  basis, _ = np.linalg.qr(random.normal(size=(SIZE, SIZE)))
  return (basis * eigenvalues) @ basis.T, random.normal(size=SIZE)


def _relative_error(x, expected):
  return np.linalg.norm(x - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize('seed', range(3))
def test_conjugate_gradient_solves(seed):
  matrix, b = _matrix(np.linspace(0.5, 20, SIZE), seed)
  expected = np.linalg.solve(matrix, b)
  assert _relative_error(_solve(matrix, b, SIZE), expected) < 1e-9
  # Fewer steps do not.
  assert _relative_error(_solve(matrix, b, SIZE - 3), expected) > 1e-6


@pytest.mark.parametrize('num_steps', [3, 4, 40])
def test_conjugate_gradient_after_it_has_converged(num_steps):
  # Three different eigenvalues take three steps.
  matrix, b = _matrix([1.0] * 5 + [4.0] * 5 + [9.0] * 3)
  expected = np.linalg.solve(matrix, b)
  assert _relative_error(_solve(matrix, b, num_steps), expected) < 1e-9


@pytest.mark.parametrize('b', [np.arange(13.0), np.zeros(13)])
def test_conjugate_gradient_with_no_residual_left(b):
  # One step, b / 2, leaves nothing in any bit.
  np.testing.assert_array_equal(_solve(2 * np.eye(13), b, 5), b / 2)


def test_conjugate_gradient_keeps_away_from_flat_directions():
  # Along flat directions a step would be a ratio of two rounding errors.
  matrix, _ = _matrix([1.0, 3.0, 5.0] + [0.0] * 10)
  b = matrix @ np.arange(13.0)
  expected = np.linalg.pinv(matrix, rcond=1e-9) @ b
  assert _relative_error(_solve(matrix, b, 40), expected) < 1e-9


@pytest.mark.parametrize('num_steps', [1, 2, 5])
def test_conjugate_gradient_is_the_best_of_its_subspace(num_steps):
  matrix, b = _matrix(np.linspace(0.5, 20, SIZE))
  # x = V y minimises x^T A x / 2 - b^T x over y: V^T A V y = V^T b.
  span = np.stack(
    [np.linalg.matrix_power(matrix, i) @ b for i in range(num_steps)], 1
  )
  span, _ = np.linalg.qr(span)
  expected = span @ np.linalg.solve(span.T @ matrix @ span, span.T @ b)
  assert _relative_error(_solve(matrix, b, num_steps), expected) < 1e-9


def test_conjugate_gradient_passes_nan_on():
  b = np.ones(13)
  b[3] = np.nan
  assert np.isnan(_solve(np.eye(13), b, 2)).all()


def test_conjugate_gradient_in_single_precision():
  b = tf.constant([3.0, 4.0])
  x = trust_region.conjugate_gradient(lambda v: 2 * v, b, 3)
  assert x.dtype == tf.float32
  np.testing.assert_array_equal(x, [1.5, 2])


# ---- One step, by hand.


@pytest.mark.parametrize('compiled', COMPILED.values(), ids=COMPILED)
def test_a_full_step(compiled):
  # Gaussian means: H = 3, g = 4, x = 4 / (3 + 1) = 1,
  # beta = sqrt(2 * 0.08 / (1 * 4 * 1)) = 0.2, KL = 3 * 0.2^2 / 2 = 0.06.
  mean = _scalar(7.0)
  update = trust_region.TrustRegionUpdate(max_kl=0.08, damping=1.0)
  update.build([mean])
  problem = _scalar_problem(lambda m: 4 * m, lambda m: 1.5 * (m - 7) ** 2)
  info = compiled(lambda: update([mean], problem))()
  np.testing.assert_allclose(mean, 6.8, rtol=1e-12)
  # Before the step.
  np.testing.assert_allclose(info.metrics['loss'], 28, rtol=1e-12)
  np.testing.assert_allclose(info.gradient_norm, 4, rtol=1e-12)
  np.testing.assert_allclose(info.learning_rate, 0.2, rtol=1e-12)


def _gaussian_scale_problem():
  """From N(0, 1) to N(0, e^s): the KL curves more the smaller s is."""
  # Up to constants; H = 2, g = 1.
  return _scalar_problem(lambda s: s, lambda s: s + (tf.exp(-2 * s) - 1) / 2)


@pytest.mark.parametrize('compiled', COMPILED.values(), ids=COMPILED)
def test_the_kl_shortens_the_step(compiled):
  # x = 1/2, beta = sqrt(2 * 0.01 / (1/2 * 2 * 1/2)) = 0.2: s = -0.1, where
  # the KL is -0.1 + (e^0.2 - 1) / 2 = 0.0107; at -0.08 it is 0.0068.
  scale = _scalar()
  update = trust_region.TrustRegionUpdate(max_kl=0.01, damping=0.0)
  problem = _gaussian_scale_problem()
  info = compiled(lambda: update([scale], problem))()
  np.testing.assert_allclose(scale, -0.08, rtol=1e-12)
  np.testing.assert_allclose(info.learning_rate, 0.16, rtol=1e-12)


@pytest.mark.parametrize('num_backtracks, s', [(1, 0.0), (2, -0.08)])
def test_the_number_of_candidates(num_backtracks, s):
  scale = _scalar()
  trust_region.TrustRegionUpdate(
    max_kl=0.01, damping=0.0, num_backtracks=num_backtracks
  )([scale], _gaussian_scale_problem())
  np.testing.assert_allclose(scale, s, rtol=1e-12)


def _mean_step(loss_fn, kl_fn=lambda m: m**2 / 2, compiled=lambda fn: fn):
  """Steps from 0; with a slope of 1 the candidates are -0.2, -0.1, -0.05.

  H = 1, x = 1 / (1 + 1), beta = sqrt(2 * 0.04 / (1/2 * 2 * 1/2)) = 0.4.
  """
  mean = _scalar()
  update = trust_region.TrustRegionUpdate(
    max_kl=0.04, damping=1.0, num_backtracks=3, backtrack_ratio=0.5
  )
  problem = _scalar_problem(loss_fn, kl_fn)
  info = compiled(lambda: update([mean], problem))()
  np.testing.assert_allclose(info.learning_rate, -2 * mean, rtol=1e-12)
  return mean.numpy()


@pytest.mark.parametrize(
  'curvature, mean',
  # m + c m^2 / 2 is below 0 between -2 / c and 0.
  [(1, -0.2), (9.9, -0.2), (15, -0.1), (30, -0.05), (50, 0)],
)
def test_a_higher_loss_shortens_the_step(curvature, mean):
  np.testing.assert_allclose(
    _mean_step(lambda m: m + curvature * m**2 / 2), mean, rtol=1e-12
  )


@pytest.mark.parametrize('compiled', COMPILED.values(), ids=COMPILED)
@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('of', ['loss', 'kl'])
def test_candidates_that_are_not_finite_are_rejected(compiled, bad, of):
  def spoilt(m):
    return tf.where(m < -0.07, tf.constant(bad, tf.float64), 0)

  loss = (lambda m: m + spoilt(m)) if of == 'loss' else lambda m: m
  kl = (lambda m: m**2 / 2 + spoilt(m)) if of == 'kl' else lambda m: m**2 / 2
  np.testing.assert_allclose(_mean_step(loss, kl, compiled), -0.05, rtol=1e-12)


# ---- No step.


def _replaced(**functions):
  """Returns a change of a problem: it replaces these attributes."""
  return lambda problem: problem._replace(**functions)


def _at_candidates(loss=None, kl=None):
  """Returns a change: loss and KL are these numbers wherever theta moved."""

  def change(problem):
    def loss_and_kl(theta):
      is_moved = tf.reduce_any(tf.not_equal(theta[0], START[0]))
      return tuple(
        old if new is None else tf.where(is_moved, np.float64(new), old)
        for new, old in zip((loss, kl), problem.loss_and_kl(theta))
      )

    return problem._replace(loss_and_kl=loss_and_kl)

  return change


def _gradient_of(value):
  return _replaced(
    gradient=lambda theta: (
      {},
      (tf.constant([1.0, value, 1.0], tf.float64), tf.ones_like(theta[1])),
      tf.ones([1]),
    )
  )


def _loss_of(value):
  return _replaced(
    loss_and_kl=lambda theta: (
      tf.constant(value, tf.float64) * tf.ones_like(theta[1]),
      tf.zeros_like(theta[1]),
    )
  )


# Values whose bits a sum or a product would change.
START = (np.array([0.1, -0.0, 1e-30]), np.array(1 / 3))
SLOPE = (np.array([1.0, -1.0, 1.0]), np.array(1.0))
NO_STEP = {
  'gradient NaN': _gradient_of(np.nan),
  'gradient infinite': _gradient_of(np.inf),
  'gradient zero': _replaced(
    gradient=lambda theta: (
      {},
      tuple(tf.zeros_like(t) for t in theta),
      tf.ones([1]),
    )
  ),
  'loss NaN': _at_candidates(loss=np.nan),
  'loss infinite': _at_candidates(loss=np.inf),
  'loss minus infinite': _at_candidates(loss=-np.inf),
  'loss the same': _loss_of(2.0),
  'loss NaN everywhere': _loss_of(np.nan),
  'KL infinite': _at_candidates(kl=np.inf),
  'KL NaN': _at_candidates(kl=np.nan),
  'KL too large': _at_candidates(kl=0.0401),
  'KL flat': _replaced(
    kl_hvp=lambda theta, vector: tuple(tf.zeros_like(v) for v in vector)
  ),
  # -1 + damping = 1: the damped curvature is positive.
  'KL curved downwards': _replaced(
    kl_hvp=lambda theta, vector: tuple(-v for v in vector)
  ),
  'KL product NaN': _replaced(
    kl_hvp=lambda theta, vector: (vector[0], vector[1] * np.nan)
  ),
}


def _step_from_start(change, compiled):
  """Steps on a problem with this change; returns the variables' bytes."""
  problem = _problem(
    lambda theta: tf.reduce_sum(SLOPE[0] * theta[0]) + SLOPE[1] * theta[1],
    lambda theta: (
      (tf.reduce_sum((theta[0] - START[0]) ** 2) + (theta[1] - START[1]) ** 2)
      / 2
    ),
  )
  update = trust_region.TrustRegionUpdate(
    max_kl=0.04,
    num_conjugate_gradient_steps=2,
    damping=2.0,
    num_backtracks=3,
  )
  variables = [tf.Variable(value) for value in START]
  info = compiled(lambda: update(variables, change(problem)))()
  return [v.numpy().tobytes() for v in variables], float(info.learning_rate)


@pytest.mark.parametrize('compiled', COMPILED.values(), ids=COMPILED)
@pytest.mark.parametrize('change', NO_STEP.values(), ids=NO_STEP)
def test_without_a_step_no_bit_changes(compiled, change):
  stayed, rate = _step_from_start(change, compiled)
  assert stayed == [value.tobytes() for value in START]
  assert rate == 0


@pytest.mark.parametrize('compiled', COMPILED.values(), ids=COMPILED)
@pytest.mark.parametrize(
  'change', [_replaced(), _at_candidates(loss=-10.0, kl=0.0399)]
)
def test_the_unchanged_problem_has_a_step(compiled, change):
  stepped, rate = _step_from_start(change, compiled)
  for value, start, slope in zip(stepped, START, SLOPE):
    # H = 1 in 4 dimensions, g = slope, x = slope / 3,
    # beta = sqrt(2 * 0.04 / (4 * 1/3 * 3 * 1/3)) = 3 sqrt(0.02 / 3).
    np.testing.assert_allclose(
      np.frombuffer(value),
      (start - slope * math.sqrt(0.02 / 3)).ravel(),
      rtol=1e-12,
    )
  np.testing.assert_allclose(rate, 3 * math.sqrt(0.02 / 3), rtol=1e-12)


# ---- A policy, by dense linear algebra.

# Observations [4, 2] of a softmax policy of 3 actions; their values [4, 3]. The
# best action is rare, so that the KL outgrows its quadratic model.
OBSERVATION = np.array([[0.5, -1.0], [1.5, 0.3], [-0.7, 0.8], [0.2, 2.0]])
VALUE = np.array([[4.0, 1, 0], [5, 1, 2], [4, 0.5, 1], [5, 1, 0.2]])
KERNEL = np.array([[0.3, -0.2, 0.1], [-0.5, 0.4, 0.2]])
BIAS = np.array([-4.0, 0.5, 0.2])


def _log_softmax(logits):
  return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def _expected_loss_and_kl(kernel, bias):
  """By numpy: minus the expected value, KL(old || new), means over [4]."""
  log_prob = _log_softmax(OBSERVATION @ kernel + bias)
  old = _log_softmax(OBSERVATION @ KERNEL + BIAS)
  loss = -(np.exp(log_prob) * VALUE).sum(-1).mean()
  return loss, (np.exp(old) * (old - log_prob)).sum(-1).mean()


def _expected_step(max_kl, damping, ratio, solve=np.linalg.solve):
  """By numpy: kernel and bias after one step, and which candidate it was."""
  p = np.exp(_log_softmax(OBSERVATION @ KERNEL + BIAS))
  gradient, hessian = np.zeros(9), np.zeros((9, 9))
  for observation, p_a, value in zip(OBSERVATION, p, VALUE):
    # logits = J theta, theta = (kernel row by row, bias).
    jacobian = np.kron(np.append(observation, 1), np.eye(3))
    covariance = np.diag(p_a) - np.outer(p_a, p_a)
    gradient -= jacobian.T @ covariance @ value / 4
    hessian += jacobian.T @ covariance @ jacobian / 4
  damped = hessian + damping * np.eye(9)
  x = solve(damped, gradient)
  step = np.sqrt(2 * max_kl / (x @ damped @ x)) * x
  old_loss, _ = _expected_loss_and_kl(KERNEL, BIAS)
  for k in range(100):
    kernel = KERNEL - ratio**k * step[:6].reshape(2, 3)
    bias = BIAS - ratio**k * step[6:]
    loss, kl = _expected_loss_and_kl(kernel, bias)
    if loss < old_loss and kl <= max_kl:
      return kernel, bias, k
  raise AssertionError


def _softmax_problem(
  observation=OBSERVATION,
  value=VALUE,
  mean=lambda tensors: tensors,
  dtype=np.float64,
):
  """The same in TensorFlow; `mean` averages over replicas."""
  observation = tf.cast(observation, dtype)
  value = tf.cast(value, dtype)
  old = tf.nn.log_softmax(observation @ KERNEL.astype(dtype) + BIAS)

  def log_prob(theta):
    return tf.nn.log_softmax(observation @ theta[0] + theta[1])

  def average(x):
    return tf.reduce_mean(tf.reduce_sum(x, -1))

  local = _problem(
    lambda theta: -average(tf.exp(log_prob(theta)) * value),
    lambda theta: average(tf.exp(old) * (old - log_prob(theta))),
  )
  return local._replace(
    gradient=lambda theta: (*mean(local.gradient(theta)[:2]), tf.ones([1])),
    loss_and_kl=lambda theta: mean(local.loss_and_kl(theta)),
    kl_hvp=lambda theta, v: mean(local.kl_hvp(theta, v)),
  )


def _softmax_variables(dtype=np.float64):
  return [tf.Variable(KERNEL, dtype=dtype), tf.Variable(BIAS, dtype=dtype)]


@pytest.mark.parametrize('compiled', COMPILED.values(), ids=COMPILED)
@pytest.mark.parametrize(
  'max_kl, damping, ratio, k',
  [(0.1, 0.1, 0.8, 0), (0.01, 1e-3, 0.8, 1), (0.2, 1e-3, 0.9, 6)],
)
def test_a_softmax_policy(compiled, max_kl, damping, ratio, k):
  *expected, expected_k = _expected_step(max_kl, damping, ratio)
  assert expected_k == k
  update = trust_region.TrustRegionUpdate(
    max_kl=max_kl, damping=damping, backtrack_ratio=ratio
  )
  variables = _softmax_variables()
  problem = _softmax_problem()
  compiled(lambda: update(variables, problem))()
  for variable, value in zip(variables, expected):
    np.testing.assert_allclose(variable, value, rtol=1e-9)
  loss, kl = _expected_loss_and_kl(*[v.numpy() for v in variables])
  assert 0.3 * max_kl < kl <= max_kl
  assert loss < _expected_loss_and_kl(KERNEL, BIAS)[0] - 0.05


def test_one_conjugate_gradient_step_goes_along_the_gradient():
  *expected, _ = _expected_step(
    0.01, 1e-3, 0.8, solve=lambda a, g: g * (g @ g) / (g @ a @ g)
  )
  variables = _softmax_variables()
  update = trust_region.TrustRegionUpdate(
    damping=1e-3, num_conjugate_gradient_steps=1
  )
  update(variables, _softmax_problem())
  for variable, value in zip(variables, expected):
    np.testing.assert_allclose(variable, value, rtol=1e-9)


def test_on_two_replicas(two_replicas):
  *expected, _ = _expected_step(0.01, 1e-3, 0.8)
  update = trust_region.TrustRegionUpdate(max_kl=0.01, damping=1e-3)
  with two_replicas.scope():
    variables = _softmax_variables()

  def train(observation, value):
    context = tf.distribute.get_replica_context()
    mean = functools.partial(context.all_reduce, tf.distribute.ReduceOp.MEAN)
    return update(variables, _softmax_problem(observation, value, mean))

  def halves(x):
    return two_replicas.experimental_distribute_values_from_function(
      lambda context: tf.constant(
        np.split(x, 2)[context.replica_id_in_sync_group]
      )
    )

  data = halves(OBSERVATION), halves(VALUE)
  info = tf.function(lambda: two_replicas.run(train, data))()
  for variable, value in zip(variables, expected):
    for replica in two_replicas.experimental_local_results(variable):
      np.testing.assert_allclose(replica, value, rtol=1e-9)
  for loss in two_replicas.experimental_local_results(info.metrics['loss']):
    np.testing.assert_allclose(
      loss, _expected_loss_and_kl(KERNEL, BIAS)[0], rtol=1e-12
    )


def test_in_single_precision():
  *expected, _ = _expected_step(0.01, 1e-2, 0.8)
  variables = _softmax_variables(np.float32)
  update = trust_region.TrustRegionUpdate(damping=1e-2)
  info = update(variables, _softmax_problem(dtype=np.float32))
  assert info.learning_rate.dtype == tf.float32
  for variable, value in zip(variables, expected):
    np.testing.assert_allclose(variable, value, atol=1e-5)


def test_has_no_variables():
  variables = _softmax_variables()
  update = trust_region.TrustRegionUpdate()
  update.build(variables)
  update(variables, _softmax_problem())
  assert not update.variables
  assert float(update.learning_rate) == 0


# ---- Numbers that are refused.


@pytest.mark.parametrize(
  'name, value',
  [
    (name, value)
    for name, values in {
      'max_kl': [0, -0.1, math.nan, math.inf, '1', None, True],
      'num_conjugate_gradient_steps': [0, -1, 2.5, '3', None, True],
      'damping': [-1e-9, math.nan, math.inf, '0', None],
      'num_backtracks': [0, -1, 2.5, '3', None, True],
      'backtrack_ratio': [0, -0.5, 1, 1.0, 1.5, math.nan, math.inf, '1', None],
    }.items()
    for value in values
  ],
)
def test_bad_numbers(name, value):
  with pytest.raises(ValueError, match=f'^{name} is .*: give .'):
    trust_region.TrustRegionUpdate(**{name: value})


def test_is_configured_by_gin():
  gin.parse_config('TrustRegionUpdate.max_kl = -1.0')
  with pytest.raises(ValueError, match='max_kl is -1.0'):
    trust_region.TrustRegionUpdate()
