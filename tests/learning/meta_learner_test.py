"""The same meta-train step on one replica and on two."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents import tf_agent

from maml_tf.collection import meta_collector
from maml_tf.core import finite_checks
from maml_tf.environments import point_navigation
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import meta_learner
from maml_tf.learning import surrogates
from tests import point_agent
from tests.learning import small_agent

NUM_TASKS, NUM_EPISODES, HORIZON = 4, 3, 5


@pytest.fixture(name='meta_batches', scope='module')
def record_meta_batches():
  """The meta-batches of three iterations, collected by untrained agents."""
  environment = point_navigation.PointNavigation(
    NUM_TASKS, NUM_EPISODES, HORIZON
  )
  agent = point_agent.create_agent(environment)
  collector = meta_collector.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=0
  )
  return [collector.collect(i).meta_batch for i in range(3)]


def _learner(strategy=None, **kwargs):
  strategy = strategy or tf.distribute.get_strategy()
  with strategy.scope():
    agent = point_agent.create_agent(
      task_chunk_size=2, normalize_observations=True, **kwargs
    )
  return meta_learner.MetaLearner(agent, strategy)


class _Surrogate:
  """The likelihood ratio, which counts the calls that trace it."""

  def __init__(self):
    self.num_calls = 0

  def __call__(self, *args):
    self.num_calls += 1
    return surrogates.likelihood_ratio(*args)


class _Trained(NamedTuple):
  """The results of training; `num_calls` counts calls of the surrogate."""

  meta_parameters: list[np.ndarray]
  loss_infos: list[tf_agent.LossInfo]
  count: int
  num_calls: list[int]


def _train(meta_batches, strategy=None, **kwargs):
  """Trains a new agent, one step on each meta-batch."""
  surrogate = _Surrogate()
  learner = _learner(
    strategy, inner_loop=inner_loop_lib.InnerLoop(surrogate=surrogate), **kwargs
  )
  loss_infos, num_calls = [], []
  for batch in meta_batches:
    loss_infos.append(learner.run(batch))
    num_calls.append(surrogate.num_calls)
  return _Trained(
    [v.numpy() for v in learner.agent.meta_parameters],
    tf.nest.map_structure(lambda t: t.numpy(), loss_infos),
    learner.agent.train_step_counter.numpy(),
    num_calls,
  )


@pytest.fixture(name='alone', scope='module')
def train_on_one_replica(meta_batches):
  return _train(meta_batches)


def test_a_step_changes_every_parameter(alone):
  before = [v.numpy() for v in _learner().agent.meta_parameters]
  for old, new in zip(before, alone.meta_parameters, strict=True):
    assert np.all(old != new)


def test_losses_are_scalars_and_the_counter_counts_steps(alone):
  assert alone.count == len(alone.loss_infos) == 3
  for loss_info in alone.loss_infos:
    assert loss_info.loss.shape == ()
    assert loss_info.extra.inner_kl.shape == (1,)
    assert all(
      np.all(np.isfinite(value)) for value in tf.nest.flatten(loss_info)
    )


def test_kl_coefficients_follow_the_kl(alone):
  coefficients = [i.extra.kl_coefficient[0] for i in alone.loss_infos]
  kls = [info.extra.inner_kl[0] for info in alone.loss_infos]
  assert coefficients[0] == np.float32(5e-4)
  for before, after, kl in zip(coefficients, coefficients[1:], kls):
    # The target is 0.01.
    factor = 2 if kl > 0.015 else 0.5 if kl < 0.01 / 1.5 else 1
    np.testing.assert_allclose(after, before * factor)
  assert coefficients[-1] != coefficients[0]


@pytest.mark.parametrize(
  ('jit_compile', 'rtol'),
  # XLA rounds differently, and Adam divides by small numbers.
  [(False, 1e-5), pytest.param(True, 1e-3, marks=pytest.mark.slow)],
)
def test_two_replicas_learn_what_one_learns(
  jit_compile, rtol, alone, meta_batches, two_replicas
):
  together = _train(meta_batches, two_replicas, jit_compile=jit_compile)
  assert together.count == alone.count
  tf.nest.map_structure(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 10),
    (together.meta_parameters, together.loss_infos),
    (alone.meta_parameters, alone.loss_infos),
  )
  _assert_traced_once(together)


def test_one_replica_traces_once(alone):
  _assert_traced_once(alone)


def _assert_traced_once(trained):
  first, *later = trained.num_calls
  assert first > 0
  assert later == [first] * len(later)


@pytest.mark.parametrize('num_tasks', [1, 3])
def test_tasks_that_replicas_cannot_share_are_an_error(
  num_tasks, meta_batches, two_replicas
):
  learner = _learner(two_replicas)
  batch = tf.nest.map_structure(lambda t: t[:num_tasks], meta_batches[0])
  message = f'^{num_tasks} tasks cannot be divided over 2 replicas: give a'
  with pytest.raises(ValueError, match=message):
    learner.run(batch)
  with pytest.raises(ValueError, match=message):
    learner.check_num_tasks(num_tasks)
  learner.check_num_tasks(4)
  assert learner.agent.train_step_counter.numpy() == 0


@pytest.mark.parametrize('counter', [None, 0])
def test_xla_counts_steps_on_another_device(counter, meta_batches):
  # As beside a GPU: the global step is on the first CPU, like an int32.
  with tf.device('/CPU:1'):
    environment = point_navigation.PointNavigation(
      NUM_TASKS, NUM_EPISODES, HORIZON
    )
    if counter is not None:
      with tf.device('/CPU:0'):
        counter = tf.Variable(counter)
    agent = point_agent.create_agent(
      environment, jit_compile=True, train_step_counter=counter
    )
    start = agent.train_step_counter.numpy()
    meta_learner.MetaLearner(agent).run(meta_batches[0])
  assert agent.train_step_counter.numpy() == start + 1
  assert 'CPU:0' in agent.train_step_counter.device


_OF_A_TASK = 'the loss or meta-gradient of task 0 is not finite'
_OF_NO_TASK = 'the result of the update is not finite'


class _Blown:
  """A meta-update that sets a parameter to NaN or infinity."""

  def __init__(self, value):
    self._value = value
    self._update = small_agent.sgd()
    self.learning_rate = 1.0
    self.variables_tuple = self._update.variables_tuple

  def build(self, parameters):
    self._update.build(parameters)
    self.variables_tuple = self._update.variables_tuple

  def __call__(self, parameters, problem):
    info = self._update(parameters, problem)
    last = tf.nest.flatten(parameters)[-1]
    last.assign(tf.fill(last.shape, self._value))
    return info


@pytest.mark.parametrize(
  ('create_update', 'message', 'is_divided'),
  [
    # After the first step, the second one's gradient is not finite.
    (lambda: small_agent.sgd(1e30, 2), _OF_A_TASK, False),
    (lambda: small_agent.sgd(1e30, 2), _OF_A_TASK, True),
    (lambda: _Blown(np.nan), _OF_NO_TASK, False),
    pytest.param(
      *(lambda: _Blown(np.inf), _OF_NO_TASK, True), marks=pytest.mark.slow
    ),
  ],
)
def test_an_update_that_is_not_finite_is_undone(
  create_update, message, is_divided, meta_batches, two_replicas
):
  strategy = two_replicas if is_divided else tf.distribute.get_strategy()
  with strategy.scope():
    agent = small_agent.create_agent(meta_update=create_update())
  learner = meta_learner.MetaLearner(agent, strategy)
  before = [v.numpy() for v in agent.training_variables]
  with pytest.raises(finite_checks.NonFiniteError, match=message):
    learner.run(meta_batches[0])
  for old, new in zip(before, agent.training_variables, strict=True):
    np.testing.assert_array_equal(old, new)
