"""The same meta-train step on one replica and on two."""

import numpy as np
import pytest
import tensorflow as tf

from maml_tf.collection import meta_collector
from maml_tf.environments import point_navigation
from maml_tf.learning import meta_learner
from maml_tf.learning import surrogates
from tests import point_agent

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


def _strategy(num_replicas):
  if num_replicas == 1:
    return tf.distribute.get_strategy()
  return tf.distribute.MirroredStrategy(
    [f'CPU:{i}' for i in range(num_replicas)]
  )


def _learner(num_replicas=1, **kwargs):
  strategy = _strategy(num_replicas)
  with strategy.scope():
    agent = point_agent.create_agent(task_chunk_size=2, **kwargs)
  return meta_learner.MetaLearner(agent, strategy)


def _train(meta_batches, **kwargs):
  """Trains a new agent; returns its parameters, losses and step counter."""
  learner = _learner(**kwargs)
  loss_infos = [learner.run(batch) for batch in meta_batches]
  return (
    [v.numpy() for v in learner.agent.meta_parameters],
    tf.nest.map_structure(lambda t: t.numpy(), loss_infos),
    learner.agent.train_step_counter.numpy(),
  )


@pytest.fixture(name='alone', scope='module')
def train_on_one_replica(meta_batches):
  return _train(meta_batches)


def _assert_close(one, other, rtol):
  tf.nest.map_structure(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol / 10),
    one,
    other,
  )


def test_a_step_changes_every_parameter(alone):
  before = [v.numpy() for v in _learner().agent.meta_parameters]
  for old, new in zip(before, alone[0], strict=True):
    assert np.all(old != new)


def test_losses_are_scalars_and_the_counter_counts_steps(alone):
  _, loss_infos, count = alone
  assert count == len(loss_infos) == 3
  for loss_info in loss_infos:
    assert loss_info.loss.shape == ()
    assert loss_info.extra.inner_kl.shape == (1,)
    assert all(
      np.all(np.isfinite(value)) for value in tf.nest.flatten(loss_info)
    )


def test_kl_coefficients_follow_the_kl(alone):
  coefficients = [info.extra.kl_coefficient[0] for info in alone[1]]
  kls = [info.extra.inner_kl[0] for info in alone[1]]
  assert coefficients[0] == np.float32(5e-4)
  for before, after, kl in zip(coefficients, coefficients[1:], kls):
    # The target is 0.01.
    factor = 2 if kl > 0.015 else 0.5 if kl < 0.01 / 1.5 else 1
    np.testing.assert_allclose(after, before * factor)
  assert coefficients[-1] != coefficients[0]


@pytest.mark.parametrize(
  ('num_replicas', 'jit_compile', 'rtol'),
  # XLA rounds otherwise, and Adam divides by small numbers.
  [(2, False, 1e-5), (2, True, 1e-3)],
)
def test_replicas_learn_what_one_learns(
  num_replicas, jit_compile, rtol, alone, meta_batches
):
  together = _train(
    meta_batches, num_replicas=num_replicas, jit_compile=jit_compile
  )
  _assert_close(together, alone, rtol)


def test_the_loss_is_the_mean_over_all_tasks(meta_batches):
  # Before any update the loss of a meta-batch is the mean of its halves'.
  batch = meta_batches[0]
  halves = [
    tf.nest.map_structure(lambda t, part=part: t[part], batch)
    for part in (slice(0, 2), slice(2, 4))
  ]
  agent = _learner(num_replicas=2, optimizer_steps=1).agent
  losses = [float(agent.loss(half).loss) for half in halves]
  learner = _learner(num_replicas=2, optimizer_steps=1)
  np.testing.assert_allclose(
    learner.run(batch).loss, np.mean(losses), rtol=1e-5
  )
  assert abs(losses[0] - losses[1]) > 1e-4


@pytest.mark.parametrize('num_tasks', [1, 3])
def test_tasks_that_replicas_cannot_share_are_an_error(num_tasks, meta_batches):
  learner = _learner(num_replicas=2)
  batch = tf.nest.map_structure(lambda t: t[:num_tasks], meta_batches[0])
  message = f'^{num_tasks} tasks cannot be divided over 2 replicas: give a'
  with pytest.raises(ValueError, match=message):
    learner.run(batch)
  with pytest.raises(ValueError, match=message):
    learner.check_num_tasks(num_tasks)
  learner.check_num_tasks(4)
  assert learner.agent.train_step_counter.numpy() == 0


@pytest.mark.parametrize('num_replicas', [1, 2])
def test_a_second_run_traces_nothing(num_replicas, meta_batches):
  calls = []

  def counting(*args):
    calls.append(args)
    return surrogates.likelihood_ratio(*args)

  learner = _learner(num_replicas=num_replicas, surrogate=counting)
  learner.run(meta_batches[0])
  num_calls = len(calls)
  assert num_calls > 0
  learner.run(meta_batches[1])
  learner.run(meta_batches[2])
  assert len(calls) == num_calls
