"""A loop takes the same steps as an unrolled graph, and holds one of them."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.learning import meta_updates
from maml_tf.learning import repetition
from maml_tf.learning import trust_region
from tests.learning import function_problem

IN_LOOP = pytest.mark.parametrize('in_loop', [False, True])


@IN_LOOP
@pytest.mark.parametrize('jit', [None, True])
def test_steps_follow_each_other(in_loop, jit):
  counter = tf.Variable(0.0)

  def step(index, state):
    # The variable as the step before assigned it.
    counter.assign(2 * counter + tf.cast(index, tf.float32))
    return state[0] + counter, state[1] * 2

  @tf.function(autograph=False, jit_compile=jit)
  def repeat():
    counter.assign(1.0)
    return repetition.repeat(
      step, (tf.constant(0.0), tf.constant(1)), 3, in_loop
    )

  total, power = repeat()
  # Index 0, 1, 2: the counter is 2, 5, 12.
  assert (total.numpy(), power.numpy(), counter.numpy()) == (19.0, 8, 12.0)


def test_zeros_are_like_a_result_that_is_not_computed():
  calls = tf.Variable(0)

  def fn():
    calls.assign_add(1)
    return {'a': tf.ones([2, 3]), 'b': tf.constant(4)}

  zeros = repetition.zeros_like_result(fn)
  np.testing.assert_array_equal(zeros['a'], np.zeros([2, 3], np.float32))
  assert zeros['b'].dtype == tf.int32 and zeros['b'].numpy() == 0
  assert calls.numpy() == 0


def _problem(in_loop, traced):
  """|theta|^2 / 2, whose gradient is theta; task 1 fails at the first step."""

  @tf.function(autograph=False)
  def gradient(theta):
    traced.append(1)
    (x,) = theta
    finite = tf.stack([1.0, tf.where(x[0] > 1.75, 0.0, 1.0)])
    return {'loss': tf.reduce_sum(x**2) / 2}, [x], finite

  return function_problem.FunctionProblem(gradient=gradient, in_loop=in_loop)


def _descend(optimizer, in_loop, jit, num_steps=3, **kwargs):
  theta = [tf.Variable([2.0, -1.0])]
  update = meta_updates.GradientUpdate(optimizer(), num_steps, **kwargs)
  update.build(theta)
  train = tf.function(
    lambda: update(theta, _problem(in_loop, [])),
    autograph=False,
    jit_compile=jit,
  )
  infos = [train(), train()]
  slots = [v.numpy() for v in update.variables_tuple]
  return theta[0].numpy(), slots, infos


def _schedule():
  return tf.keras.optimizers.SGD(
    tf.keras.optimizers.schedules.PiecewiseConstantDecay(
      [1, 4], [0.1, 0.2, 0.3]
    )
  )


@IN_LOOP
def test_gradient_steps_by_hand(in_loop):
  theta, _, infos = _descend(
    lambda: tf.keras.optimizers.SGD(0.5), in_loop, True
  )
  # Each step halves theta: six in all.
  np.testing.assert_allclose(theta, [2 / 64, -1 / 64], rtol=1e-6)
  first, second = infos
  # Before the third step theta is (1/2, -1/4).
  np.testing.assert_allclose(first.metrics['loss'], (1 / 4 + 1 / 16) / 2)
  np.testing.assert_allclose(first.gradient_norm, np.sqrt(1 / 4 + 1 / 16))
  # A task that failed once has failed; at the second call none does.
  np.testing.assert_array_equal(first.finite_tasks, [1, 0])
  np.testing.assert_array_equal(second.finite_tasks, [1, 1])


@pytest.mark.parametrize(
  'optimizer',
  [
    lambda: tf.keras.optimizers.Adam(0.1),
    _schedule,
    pytest.param(
      lambda: tf.keras.optimizers.SGD(
        0.1, momentum=0.9, use_ema=True, ema_overwrite_frequency=2
      ),
      marks=pytest.mark.slow,
    ),
    pytest.param(
      lambda: tf.keras.optimizers.AdamW(0.1, clipnorm=0.5),
      marks=pytest.mark.slow,
    ),
  ],
)
def test_a_loop_gives_optimizers_the_same_steps(optimizer):
  unrolled = _descend(optimizer, False, None, max_gradient_norm=1.5)
  loop = _descend(optimizer, True, True, max_gradient_norm=1.5)
  np.testing.assert_allclose(loop[0], unrolled[0], rtol=1e-5)
  for ours, theirs in zip(loop[1], unrolled[1], strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
  for ours, theirs in zip(loop[2], unrolled[2], strict=True):
    tf.nest.map_structure(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), ours, theirs
    )


@IN_LOOP
def test_the_graph_holds_one_step_in_a_loop(in_loop):
  theta = [tf.Variable([2.0, -1.0])]
  update = meta_updates.GradientUpdate(tf.keras.optimizers.SGD(0.5), 7)
  update.build(theta)
  problem = _problem(in_loop, [])
  graph = (
    tf.function(lambda: update(theta, problem), autograph=False)
    .get_concrete_function()
    .graph.as_graph_def()
  )
  calls = [
    node
    for nodes in (graph.node, *(f.node_def for f in graph.library.function))
    for node in nodes
    if node.op.endswith('PartitionedCall')
    and 'gradient' in node.attr['f'].func.name
  ]
  assert len(calls) == (1 if in_loop else 7)


@IN_LOOP
def test_conjugate_gradients_by_hand(in_loop):
  matrix = tf.constant([[4.0, 1.0], [1.0, 3.0]])
  solve = tf.function(
    lambda b: trust_region.conjugate_gradient(
      lambda v: [tf.linalg.matvec(matrix, v[0])], [b], 2, in_loop
    ),
    autograph=False,
    jit_compile=True,
  )
  (x,) = solve(tf.constant([1.0, 2.0]))
  # (1 * 3 - 2 * 1, 4 * 2 - 1 * 1) / (4 * 3 - 1 * 1)
  np.testing.assert_allclose(x, [1 / 11, 7 / 11], rtol=1e-5)


@IN_LOOP
def test_a_line_search_in_a_loop(in_loop):
  """Loss -x, KL x^2 / 2 <= 0.02 |x|: the fourth candidate of 0.5^k fits."""

  def loss_and_kl(theta):
    (x,) = theta
    # Beyond 0.03 nothing is accepted, although the quadratic model says 0.2.
    return -x[0], tf.where(x[0] <= 0.03, x[0] ** 2 / 2, 1.0)

  problem = function_problem.FunctionProblem(
    gradient=lambda theta: ({}, [-tf.ones([1])], tf.ones([2])),
    loss_and_kl=loss_and_kl,
    kl_hvp=lambda theta, vector: vector,
    in_loop=in_loop,
  )
  theta = [tf.Variable([0.0])]
  update = trust_region.TrustRegionUpdate(
    0.02, 2, damping=0.0, num_backtracks=5, backtrack_ratio=0.5
  )
  update.build(theta)
  info = tf.function(
    lambda: update(theta, problem), autograph=False, jit_compile=True
  )()
  # x = -1, beta = sqrt(2 * 0.02) = 0.2: 0.2, 0.1, 0.05, then 0.025.
  np.testing.assert_allclose(theta[0].numpy(), [0.025], rtol=1e-5)
  np.testing.assert_allclose(info.learning_rate, 0.025, rtol=1e-5)
