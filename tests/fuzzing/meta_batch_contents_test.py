"""All frames give a finite result or a NonFiniteError that changes nothing.

Episodes have any lengths, including zero. Rewards have any size, including NaN.
"""

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import finite_checks
from maml_tf.core import meta_batch as meta_batch_lib
from maml_tf.learning import meta_learner
from tests.learning import recorded_batches
from tests.learning import small_agent

NUM_TASKS, NUM_FRAMES = 2, 6

# The numbers of transitions in each task's episodes. A boundary follows each.
_LENGTHS = (
  ((), ()),
  ((), (5,)),
  ((1,), (1, 1, 1)),
  ((2, 2), (1,)),
  ((4,), (3, 1)),
)
_LARGE = (1e30, -1e30, 1e18, 3e38, -3e38)
_NOT_FINITE = (np.nan, np.inf, -np.inf)
_ONES = np.ones([NUM_TASKS, NUM_FRAMES], np.float32)
# No episode reaches the last frame, so its reward does not count.
_NAN_AT_THE_END = _ONES.copy()
_NAN_AT_THE_END[1, 5] = np.nan


class _Trained:
  """A compiled agent that is reset to its initial state for each example."""

  def __init__(self, **kwargs):
    self.agent = small_agent.create_agent(**kwargs)
    self.learner = meta_learner.MetaLearner(self.agent)
    self._initial = [v.numpy() for v in self.agent.training_variables]
    # In a graph, `adapt` cannot raise.
    self.adapt = tf.function(self.agent.adapt, autograph=False)
    policy = self.agent.collect_policy
    # Traced once instead of once a stage.
    policy.act = tf.function(policy.act, autograph=False)
    self._recorded = {
      lengths: recorded_batches.record(
        self.agent, self.initial_state(), 0, lengths, NUM_FRAMES
      )
      for lengths in _LENGTHS
    }

  def initial_state(self):
    return self.agent.collect_policy.get_initial_state(NUM_TASKS)

  def stage(self, lengths, rewards):
    """Returns a stage of the agent's own actions with the given rewards."""
    return self._recorded[lengths]._replace(reward=tf.constant(rewards))

  def begin_again(self):
    self.agent.train_step_counter.assign(0)
    for variable, value in zip(self.agent.training_variables, self._initial):
      variable.assign(value)

  def assert_untouched(self):
    for variable, value in zip(self.agent.training_variables, self._initial):
      np.testing.assert_array_equal(variable, value)


@pytest.fixture(name='trained', scope='module')
def create_trained():
  return _Trained(normalize_observations=True)


@st.composite
def _rewards(draw):
  """Draws rewards [B, T]: all equal, or of all sizes."""
  shape = (NUM_TASKS, NUM_FRAMES)
  ordinary = st.floats(-10, 10, width=32)
  kinds = [
    st.just(0.0),
    st.just(7.0),
    ordinary,
    st.sampled_from(_LARGE),
    st.one_of(ordinary, st.sampled_from(_LARGE)),
    st.one_of(ordinary, st.sampled_from(_NOT_FINITE)),
  ]
  kind = draw(st.sampled_from(kinds))
  if draw(st.booleans()):
    return np.full(shape, draw(kind), np.float32)
  values = [draw(kind) for _ in range(np.prod(shape))]
  return np.reshape(np.array(values, np.float32), shape)


def _is_finite(nest):
  return all(np.isfinite(np.asarray(t)).all() for t in tf.nest.flatten(nest))


def _valid(stage):
  return ~np.asarray(stage.is_boundary())


_STAGES = st.tuples(st.sampled_from(_LENGTHS), _rewards())


@pytest.mark.fuzz
@hypothesis.given(_STAGES, _STAGES)
@hypothesis.example((((), ()), _NAN_AT_THE_END), (((), (5,)), _ONES))
@hypothesis.example((((), (5,)), _ONES), (((), ()), _NAN_AT_THE_END))
def test_any_rewards_and_lengths(trained, support, query):
  trained.begin_again()
  agent = trained.agent
  stages = [trained.stage(*support), trained.stage(*query)]
  batch = meta_batch_lib.MetaBatch((stages[0],), stages[1])
  valid_rewards = np.concatenate([s.reward.numpy()[_valid(s)] for s in stages])
  try:
    loss_info = trained.learner.run(batch)
  except finite_checks.NonFiniteError:
    # The squares of all other rewards are finite in float32.
    assert not (np.abs(valid_rewards) < 1e18).all()
    trained.assert_untouched()
  else:
    assert np.isfinite(valid_rewards).all()
    assert _is_finite(loss_info)
    assert _is_finite(agent.training_variables)
  assert agent.train_step_counter.numpy() == 1

  trained.begin_again()
  adapted = trained.adapt(stages[0], trained.initial_state())
  # The overflow of one task's returns does not affect the other task.
  for task in range(NUM_TASKS):
    rewards = stages[0].reward.numpy()[task, _valid(stages[0])[task]]
    if np.abs(rewards, dtype=np.float64).sum() < 1e38:
      assert _is_finite([p[task] for p in adapted])
  try:
    agent.adapt(stages[0], trained.initial_state())
  except finite_checks.NonFiniteError as error:
    assert not _is_finite([p[error.task] for p in adapted])
  else:
    assert _is_finite(adapted)


def _assert_learns_nothing(trained, batch):
  trained.begin_again()
  loss_info = trained.learner.run(batch)
  assert _is_finite(loss_info)
  assert loss_info.extra.policy_loss == 0
  assert loss_info.extra.gradient_norm == 0


def test_a_meta_batch_without_transitions_changes_nothing(trained):
  nothing = trained.stage(((), ()), _ONES)
  _assert_learns_nothing(trained, meta_batch_lib.MetaBatch((nothing,), nothing))
  trained.begin_again()
  state = trained.initial_state()
  for before, after in zip(state, trained.agent.adapt(nothing, state)):
    np.testing.assert_array_equal(before, after)
