"""Frames of the wrong shape, type or structure are refused in one line."""

from collections.abc import Mapping

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
import tensorflow as tf

from maml_tf.core import meta_batch as meta_batch_lib
from maml_tf.learning import meta_learner
from tests.learning import recorded_batches
from tests.learning import small_agent

# The episodes of both tasks, and padding.
NUM_TASKS, NUM_FRAMES = 2, 12


class _Recorded:
  """An agent with two adaptation steps, and a meta-batch that it recorded."""

  def __init__(self):
    self.agent = small_agent.create_agent(num_adaptation_steps=2)
    self.learner = meta_learner.MetaLearner(self.agent)
    self.batch = recorded_batches.create(self.agent)
    self.state = recorded_batches.near(self.agent, NUM_TASKS, 5)


@pytest.fixture(name='recorded', scope='module')
def record():
  return _Recorded()


# Changes that make a single leaf, a tensor [B, T, ...], invalid.
_LEAF_FAULTS: Mapping[str, object] = {
  'of another rank': lambda t: t[..., tf.newaxis],
  'without the tasks': lambda t: t[0],
  'of fewer tasks': lambda t: t[:1],
  'of fewer frames': lambda t: t[:, :-1],
  'empty': lambda t: t[:0],
  'of longs': lambda t: tf.cast(t, tf.int64),
  'of doubles': lambda t: tf.cast(t, tf.float64),
  'of booleans': lambda t: tf.cast(t, tf.bool),
  'of texts': tf.strings.as_string,
  'ragged': lambda t: tf.ragged.constant([[1.0, 2.0], [1.0]]),
  'lists': lambda t: t.numpy().tolist(),
  'an array of doubles': lambda t: t.numpy().astype(np.float64),
  'None': lambda t: None,
  'a word': lambda t: 'reward',
}
# Changes that make a whole stage invalid.
_STAGE_FAULTS: Mapping[str, object] = {
  'without policy_info': lambda s: s._replace(policy_info=()),
  'with half of policy_info': lambda s: s._replace(
    policy_info=({'loc': s.policy_info[0]['loc']},)
  ),
  'with other observations': lambda s: s._replace(
    observation={'position': s.observation}
  ),
  'a tuple': tuple,
  'a dictionary': lambda s: s._asdict(),
  'nothing': lambda s: None,
  'a number': lambda s: 3.0,
  'without frames': lambda s: tf.nest.map_structure(lambda t: t[:, :0], s),
  'without tasks': lambda s: tf.nest.map_structure(lambda t: t[:0], s),
  'of one frame': lambda s: tf.nest.map_structure(lambda t: t[0, 0], s),
}


@st.composite
def _broken(draw):
  """Draws a description of a fault, and a function that adds it to a stage."""
  if draw(st.booleans()):
    return draw(st.sampled_from(list(_STAGE_FAULTS.items())))
  name, fault = draw(st.sampled_from(list(_LEAF_FAULTS.items())))
  leaf = draw(st.integers(0, 7))

  def breaks(stage):
    leaves = tf.nest.flatten(stage)
    leaves[leaf] = fault(leaves[leaf])
    return tf.nest.pack_sequence_as(stage, leaves)

  return f'leaf {leaf} {name}', breaks


@pytest.mark.fuzz
@hypothesis.given(_broken(), st.integers(0, 2))
def test_invalid_frames_are_refused(recorded, broken, number):
  agent, name = recorded.agent, broken[0]
  stages = [*recorded.batch.support, recorded.batch.query]
  fitting = tf.nest.map_structure(lambda t: t, stages[number])
  stages[number] = broken[1](fitting)
  before = [v.numpy() for v in agent.training_variables]
  *support, query = stages
  batch = meta_batch_lib.MetaBatch(tuple(support), query)
  for call in (
    lambda: recorded.learner.run(batch),
    lambda: agent.train(batch),
    lambda: agent.meta_batch(stages, NUM_TASKS),
    lambda: agent.adapt(stages[number], recorded.state),
  ):
    with pytest.raises(ValueError) as error:
      call()
    _assert_short(error, name)
  assert agent.train_step_counter.numpy() == 0
  for variable, value in zip(agent.training_variables, before):
    np.testing.assert_array_equal(variable, value)


def _assert_short(error, name):
  message = str(error.value)
  assert 'stage' in message or 'experience' in message, name
  assert len(message.splitlines()) <= 2, name


@pytest.mark.parametrize(
  'batch', [None, {}, (), 3, 'a', [1, 2]], ids=lambda b: repr(b)
)
def test_other_values_than_meta_batches_are_refused(recorded, batch):
  for call in (recorded.learner.run, recorded.agent.train):
    with pytest.raises(ValueError, match='is not a MetaBatch: give what'):
      call(batch)


def test_wrong_numbers_of_stages_are_refused(recorded):
  batch = recorded.batch
  for support in ((), batch.support[:1], batch.support * 2):
    with pytest.raises(ValueError, match='support stages, the agent takes 2'):
      recorded.learner.run(batch._replace(support=support))
  one = tf.nest.map_structure(lambda t: t[:1], batch.query)
  with pytest.raises(ValueError, match=r'have \[2, 2, 1\] tasks'):
    recorded.learner.run(batch._replace(query=one))


_STATES: Mapping[str, object] = {
  'None': lambda state: None,
  'empty': lambda state: (),
  'short': lambda state: state[:-1],
  'of one task': lambda state: tuple(p[0] for p in state),
  'of unlike tasks': lambda state: (*state[:-1], state[-1][:1]),
  'of doubles': lambda state: tuple(tf.cast(p, tf.float64) for p in state),
  'of texts': lambda state: ('a',) * len(state),
  'numbers': lambda state: (1.0,) * len(state),
  'transposed': lambda state: tuple(tf.transpose(p) for p in state),
}


@pytest.mark.parametrize('name', _STATES)
def test_invalid_states_are_refused(recorded, name):
  state = _STATES[name](recorded.state)
  with pytest.raises(ValueError, match='^policy_state .*: give what') as error:
    recorded.agent.adapt(recorded.batch.query, state)
  assert '\n' not in str(error.value)


_WRONG = st.one_of(
  st.floats(),
  st.integers(max_value=0),
  st.text('a', max_size=1),
  st.just(()),
  st.booleans(),
)


@pytest.mark.fuzz
@hypothesis.given(_WRONG)
def test_invalid_numbers_of_tasks_are_refused(recorded, num_tasks):
  stages = [*recorded.batch.support, recorded.batch.query]
  with pytest.raises(ValueError, match='^num_tasks is .*: give an integer of'):
    recorded.agent.meta_batch(stages, num_tasks)
  with pytest.raises(ValueError, match='^num_tasks is .*: give an integer of'):
    recorded.agent.adapt(stages[0], recorded.state, num_tasks=num_tasks)


@pytest.mark.fuzz
@hypothesis.given(_WRONG)
def test_invalid_steps_are_refused(recorded, step):
  hypothesis.assume(step != 0 or isinstance(step, bool | float))
  with pytest.raises(ValueError, match='^step is .*: give an integer of'):
    recorded.agent.adapt(recorded.batch.query, recorded.state, step)


@pytest.mark.parametrize('size', [0, -1, 1e300, 'a', np.nan, np.inf, ()])
def test_invalid_step_sizes_are_refused(recorded, size):
  with pytest.raises(ValueError, match='^step_size is .*: give a finite'):
    recorded.agent.adapt(recorded.batch.query, recorded.state, step_size=size)
