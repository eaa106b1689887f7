"""Metrics by hand: names, order, kinds of numbers, several workers."""

from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.agents import tf_agent

from maml_tf import evaluation
from maml_tf.evaluation import statistics
from maml_tf.learning import loss_info as loss_info_lib
from maml_tf.run import metrics
from maml_tf.run import shared_collection

# Two stages, two tasks, one episode each: [X + 1, B, E].
RETURNS = np.array([[[1.0], [3.0]], [[4.0], [8.0]]])


def _collection(**kwargs):
  counts = {'env_steps': 60, 'unstable_episodes': 2}
  return shared_collection.Collection(None, RETURNS, counts)._replace(**kwargs)


def _loss_info(**kwargs):
  """Field i is i; fields per step are vectors of one element."""
  names = loss_info_lib.MamlLossInfo._fields
  fields = {name: tf.constant(float(i)) for i, name in enumerate(names)}
  for name in ('inner_kl', 'kl_coefficient', 'inner_loss'):
    fields[name] = fields[name][tf.newaxis]
  extra = loss_info_lib.MamlLossInfo(**fields)
  return tf_agent.LossInfo(tf.constant(-0.5), extra)


def _of_iteration(
  collection=None, loss_info=None, is_skipped=False, task_names=()
):
  return metrics.of_iteration(
    7,
    900,
    12.34567,
    collection or _collection(),
    loss_info or _loss_info(),
    is_skipped=is_skipped,
    collect_seconds=1.23456,
    update_seconds=0.76544,
    task_names=task_names,
  )


def test_a_row_by_hand():
  row = _of_iteration()
  assert list(row.items()) == [
    ('iteration', 7),
    ('env_steps', 900),
    ('wall_seconds', 12.346),
    ('return_step_0', 2.0),
    ('return_step_1', 6.0),
    ('return_min_step_0', 1.0),
    ('return_min_step_1', 4.0),
    ('return_max_step_0', 3.0),
    ('return_max_step_1', 8.0),
    ('adaptation_delta', 4.0),
    ('meta_loss', -0.5),
    ('policy_loss', 0.0),
    ('vf_loss', 1.0),
    ('entropy', 2.0),
    ('kl', 3.0),
    ('inner_kl_step_0', 4.0),
    ('kl_coefficient_step_0', 5.0),
    ('inner_loss_step_0', 6.0),
    ('gradient_norm', 7.0),
    ('learning_rate', 8.0),
    ('unstable_episodes', 2),
    ('skipped_meta_batches', 0),
    ('collect_seconds', 1.2346),
    ('update_seconds', 0.7654),
    ('env_steps_per_second', 30.0),
  ]
  # metrics.csv writes their repr.
  assert {type(value) for value in row.values()} == {int, float}


class _LossInfoWithMore(NamedTuple):
  policy_loss: float
  scale: np.ndarray
  finite_tasks: np.ndarray


def test_a_new_field_of_the_update_is_a_new_metric():
  extra = _LossInfoWithMore(1.0, np.array([2.0, 3.0]), np.ones(2))
  row = _of_iteration(loss_info=tf_agent.LossInfo(0.0, extra))
  assert row['scale_step_0'] == 2.0
  assert row['scale_step_1'] == 3.0
  assert not any('finite' in name for name in row)


def test_a_new_count_of_the_collection_is_a_new_metric():
  counts = {'env_steps': 60, 'unstable_episodes': 0, 'falls': 5}
  assert _of_iteration(_collection(counts=counts))['falls'] == 5


def test_the_returns_of_each_task_by_hand():
  # Three stages, five tasks, two episodes each: [X + 1, B, E].
  returns = np.arange(30.0).reshape(3, 5, 2)
  collection = _collection(returns=returns, task_places=[1, 0, 1, -1, 1])
  names = ('-1', '1', 'stay')
  row = _of_iteration(collection, task_names=names)
  found = {k: v for k, v in row.items() if k.startswith('return_task_')}
  # The means of places 0 to 4 are 0.5, 2.5, 4.5, 6.5, 8.5 before adaptation;
  # a step adds 10. Places 0, 2 and 4 play task 1.
  np.testing.assert_equal(
    list(found.items()),
    [
      ('return_task_-1_step_0', 2.5),
      ('return_task_-1_step_1', 12.5),
      ('return_task_-1_step_2', 22.5),
      ('return_task_1_step_0', 4.5),
      ('return_task_1_step_1', 14.5),
      ('return_task_1_step_2', 24.5),
      ('return_task_stay_step_0', np.nan),
      ('return_task_stay_step_1', np.nan),
      ('return_task_stay_step_2', np.nan),
    ],
  )
  # Without a collection no task was played; the columns are the same.
  nothing = shared_collection.nothing((3, 5, 2), problem='NaN')
  skipped = _of_iteration(nothing, is_skipped=True, task_names=names)
  assert list(skipped) == list(row)
  assert np.isnan([skipped[name] for name in found]).all()
  columns = metrics.columns(nothing, _loss_info(), names)
  assert columns['metrics.csv'] == tuple(row)


def test_a_skipped_meta_batch():
  row = _of_iteration(
    shared_collection.nothing((2, 2, 1), problem='NaN'), is_skipped=True
  )
  assert row['skipped_meta_batches'] == 1
  assert np.isnan(row['return_step_0'])
  assert row['unstable_episodes'] == row['env_steps_per_second'] == 0


def test_an_evaluation():
  evaluated = evaluation.Evaluation(
    7,
    0,
    'constant',
    np.zeros([2, 1]),
    (
      evaluation.PolicyEvaluation(
        'trained', RETURNS, statistics.over_tasks(RETURNS)
      ),
    ),
  )
  scalars = metrics.of_evaluation(evaluated, 900)
  assert scalars['env_steps'] == 900
  assert scalars['evaluation/mean_step_0'] == 2.0
  assert scalars['evaluation/mean_step_1'] == 6.0
  assert scalars['evaluation/adaptation_delta_step_1'] == 4.0
  names = statistics.StepStatistics._fields
  assert len(scalars) == 1 + 2 * len(names)

  # Of two episodes one succeeds after the step.
  successes = np.array([[[False], [False]], [[True], [False]]])
  (policy,) = evaluated.policies
  evaluated = evaluated._replace(
    policies=(policy._replace(successes=successes),)
  )
  more = metrics.of_evaluation(evaluated, 900)
  assert {name: more.pop(name) for name in list(more)[-2:]} == {
    'evaluation/success_step_0': 0.0,
    'evaluation/success_step_1': 0.5,
  }
  assert more.keys() == scalars.keys()


def test_success_rates_follow_the_other_counts():
  counts = {
    'env_steps': 60,
    'unstable_episodes': 0,
    'discarded_episodes': 4,
    'successes_step_0': 1,
    'successes_step_1': 2,
  }
  row = _of_iteration(_collection(counts=counts))
  # Two tasks of one episode.
  assert (row['success_step_0'], row['success_step_1']) == (0.5, 1.0)
  assert row['discarded_episodes'] == 4
  assert not any(name.startswith('successes') for name in row)


class _Workers:
  """A group of this worker and another one that sends fixed numbers."""

  def __init__(self, other):
    self._other = other

  def exchange(self, numbers):
    if self._other is None:
      return np.array([numbers])
    return np.array([numbers, shared_collection_row(self._other)])


def shared_collection_row(collection):
  """The numbers that a worker sends."""
  sent = []

  class _Listener:
    def exchange(self, numbers):
      sent.extend(numbers)
      return np.array([numbers])

  shared_collection.exchange(collection, _Listener())
  return sent


def test_workers_share_what_they_collected():
  mine = _collection(meta_batch='mine', task_places=[1, 0])
  other = _collection(
    returns=RETURNS + 10, meta_batch='other', task_places=[-1, 1]
  )
  both = shared_collection.exchange(mine, _Workers(other))
  assert both.meta_batch == 'mine'
  np.testing.assert_array_equal(
    both.returns[..., 0], [[1, 3, 11, 13], [4, 8, 14, 18]]
  )
  assert both.counts == {'env_steps': 120, 'unstable_episodes': 4}
  assert both.task_places == [1, 0, -1, 1]
  assert (both.problem, both.stop_signal) == ('', 0)
  # A single worker receives its own numbers.
  alone = shared_collection.exchange(mine, _Workers(None))
  np.testing.assert_array_equal(alone.returns, RETURNS)
  assert alone.counts == mine.counts
  assert alone.task_places == mine.task_places


@pytest.mark.parametrize(
  'what', [{'problem': 'the reward is not finite'}, {'stop_signal': 15}]
)
def test_a_problem_of_one_worker_reaches_all(what):
  bad = shared_collection.nothing(RETURNS.shape, **what)
  for mine, other in ((bad, _collection()), (_collection(), bad)):
    both = shared_collection.exchange(mine, _Workers(other))
    assert both.meta_batch is None
    assert both.returns.shape == (2, 4, 1)
    assert np.isnan(both.returns).all()
    assert both.counts == {'env_steps': 0, 'unstable_episodes': 0}
    assert both.problem == what.get('problem', '')
    assert both.stop_signal == what.get('stop_signal', 0)


def test_long_messages_are_cut():
  bad = shared_collection.nothing(RETURNS.shape, problem='ä' * 300)
  both = shared_collection.exchange(bad, _Workers(None))
  assert both.problem == 'ä' * 200
