"""Evaluation on held-out tasks equals collecting and adapting by hand."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.specs import tensor_spec

from maml_tf import evaluation
from maml_tf.collection import meta_collector
from maml_tf.core import random_streams
from maml_tf.environments import point_navigation
from maml_tf.environments import sparse_point
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import step_sizes
from maml_tf.learning import value_networks
from tests import point_agent

HORIZON = 6
_create_environment = functools.partial(
  point_navigation.PointNavigation, horizon=HORIZON
)


def _agent(step_size=0.2, **kwargs):
  return point_agent.create_agent(
    inner_loop=inner_loop_lib.InnerLoop(2, step_size), **kwargs
  )


def _evaluator(agent=None, **kwargs):
  settings = {
    'seed': 3,
    'num_tasks': 3,
    'episodes_per_task': 2,
    'num_adaptation_steps': 3,
    **kwargs,
  }
  return evaluation.Evaluator(
    agent or _agent(), _create_environment, **settings
  )


def _by_hand(agent, state, sizes, num_tasks=3):
  """Returns [S + 1, B, E]: collects, adapts with given sizes, collects."""
  returns = []
  for step in range(len(sizes) + 1):
    # A collector of the first `step` steps, all with sizes by hand.
    collector = meta_collector.MetaCollector(
      _create_environment(num_tasks=num_tasks, environments_per_task=2),
      agent.collect_policy,
      lambda experience, state, step: agent.adapt(
        experience, state, step=step, step_size=sizes[step]
      ),
      step,
      seed=3,
    )
    *_, last = collector.stages(random_streams.HELD_OUT, state)
    returns.append(last.returns)
  return np.stack(returns)


def test_evaluation_plays_other_tasks_than_training_if_the_family_says_so():
  agent = _agent()
  environment = sparse_point.SparsePoint(3, 2, HORIZON)
  collector = meta_collector.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 1, seed=3
  )
  collected = collector.collect(1)
  create = functools.partial(sparse_point.SparsePoint, horizon=HORIZON)
  result = evaluation.Evaluator(
    agent, create, 3, num_tasks=3, episodes_per_task=2
  ).evaluate()
  (trained,) = result.policies
  # Dense rewards are negative, sparse ones are not.
  assert collected.tasks[:, 2].tolist() == [0, 0, 0]
  assert (collected.returns < 0).all()
  assert result.tasks[:, 2].tolist() == [1, 1, 1]
  assert (trained.returns >= 0).all()
  # A goal is 10 steps away: all rewards are 0, and adaptation stays finite.
  assert trained.returns.shape == (3, 3, 2)
  assert not trained.returns.any()


@pytest.mark.parametrize(
  ('schedule', 'sizes'),
  [('constant', (0.2, 0.2, 0.2)), ('halve', (0.2, 0.1, 0.1))],
)
def test_schedules_are_the_step_sizes_by_hand(schedule, sizes):
  agent = _agent(step_size=0.2)
  result = _evaluator(agent, step_size_schedule=schedule).evaluate()
  (trained,) = result.policies
  assert trained.returns.shape == (4, 3, 2)
  np.testing.assert_allclose(
    trained.returns, _by_hand(agent, None, sizes), rtol=1e-5
  )
  assert result.step_size_schedule == schedule


def test_the_schedules_differ_from_the_second_step_on():
  constant, halve = (
    _evaluator(step_size_schedule=schedule).evaluate().policies[0].returns
    for schedule in ('constant', 'halve')
  )
  np.testing.assert_array_equal(constant[:2], halve[:2])
  assert np.all(constant[2:] != halve[2:])


def test_learned_step_sizes_are_used_also_beyond_those_of_training():
  agent = _agent(step_size=step_sizes.LayerStepSizes(0.2))
  for variable in agent.meta_parameters[-5:]:
    # The second step's sizes, which hold for the third too.
    variable.assign(tf.math.log([0.2, 0.05]))
  returns = _evaluator(agent).evaluate().policies[0].returns
  expected = _by_hand(agent, None, (0.2, 0.05, 0.05))
  np.testing.assert_allclose(returns, expected, rtol=1e-4)


def test_no_task_is_among_those_of_training():
  held_out = _evaluator(num_tasks=40).evaluate().tasks
  trainer = point_navigation.PointNavigation(20, 1, horizon=1)
  agent = _agent()
  collector = meta_collector.MetaCollector(
    trainer, agent.collect_policy, agent.adapt, 0, seed=3
  )
  trained = []
  for iteration in range(1, 201):
    stage = next(collector.stages(iteration))
    assert stage.returns.shape == (20, 1)
    trained.append(trainer.tasks)
  goals = {tuple(goal) for goal in np.concatenate(trained)}
  assert len(goals) == 200 * 20
  assert not goals & {tuple(goal) for goal in held_out}


def test_any_number_of_tasks_begins_with_the_same_ones():
  few, many = (
    _evaluator(num_tasks=n, num_adaptation_steps=0).evaluate() for n in (2, 7)
  )
  assert many.tasks.shape == (7, 2)
  np.testing.assert_array_equal(few.tasks, many.tasks[:2])
  np.testing.assert_allclose(
    few.policies[0].returns, many.policies[0].returns[:, :2], rtol=1e-5
  )


def test_references_play_the_same_tasks():
  agent = _agent()
  initial = tuple(p.numpy() for p in agent.policy.get_initial_state(None))
  for variable in agent.meta_parameters:
    variable.assign(variable + 0.1)
  evaluator = _evaluator(agent)
  result = evaluator.evaluate(initial)
  assert [p.name for p in result.policies] == ['trained', 'initial', 'random']
  trained, untrained, at_random = (p.returns for p in result.policies)

  state = tuple(tf.stack([p] * 3) for p in initial)
  expected = _by_hand(agent, state, (0.2, 0.2, 0.2))
  np.testing.assert_allclose(untrained, expected, rtol=1e-5)
  assert np.all(untrained != trained)
  assert at_random.shape == (1, 3, 2)
  # A step moves at most 0.1 in each direction.
  distance = np.linalg.norm(result.tasks, axis=1)[:, np.newaxis]
  steps = np.arange(1, HORIZON + 1)
  reach = 0.1 * np.sqrt(2) * steps.sum()
  assert np.all(np.abs(at_random[0] + HORIZON * distance) <= reach)

  # References do not change the trained policy's numbers.
  (alone,) = evaluator.evaluate().policies
  np.testing.assert_array_equal(alone.returns, trained)


def test_evaluation_leaves_the_agent_as_it_was_and_follows_it():
  agent = _agent(normalize_observations=True)
  evaluator = _evaluator(agent)
  before = [v.numpy() for v in agent.variables]
  first = evaluator.evaluate()
  assert before
  for value, variable in zip(before, agent.variables, strict=True):
    np.testing.assert_array_equal(value, variable.numpy())
  again = evaluator.evaluate()
  np.testing.assert_array_equal(
    first.policies[0].returns, again.policies[0].returns
  )
  agent.meta_parameters[0].assign_add(tf.ones_like(agent.meta_parameters[0]))
  agent.train_step_counter.assign(9)
  other = evaluator.evaluate()
  assert (first.iteration, other.iteration) == (0, 9)
  assert np.all(first.policies[0].returns != other.policies[0].returns)


def test_logs_each_step():
  agent = _agent()
  lines = []
  result = _evaluator(agent, num_adaptation_steps=1).evaluate(
    agent.policy.get_initial_state(None), lines.append
  )
  names = ['trained, step 0', 'trained, step 1', 'initial, step 0']
  names += ['initial, step 1', 'random']
  assert [line.split(':')[0] for line in lines] == names
  assert float(lines[-1].split(':')[1]) == pytest.approx(
    result.policies[-1].returns.mean(), rel=1e-3
  )


def test_a_network_with_values_is_evaluated_too():
  environment = point_navigation.PointNavigation()
  network = value_networks.create_value_network(
    tensor_spec.from_spec(environment.observation_spec()),
    point_agent.create_network(environment),
    fc_layer_params=(4,),
  )
  agent = _agent(value_network=network)
  result = _evaluator(agent).evaluate(agent.policy.get_initial_state(None))
  trained, initial = (p.returns for p in result.policies[:2])
  np.testing.assert_allclose(trained, initial, rtol=1e-5)


@pytest.mark.parametrize(
  ('setting', 'message'),
  [
    ({'num_tasks': 0}, 'num_tasks is 0'),
    ({'episodes_per_task': 0}, 'episodes_per_task is 0'),
    ({'num_adaptation_steps': -1}, 'num_adaptation_steps is -1'),
    ({'seed': -1}, 'seed is -1'),
    ({'step_size_schedule': 'third'}, "is 'third': give constant or halve"),
  ],
)
def test_impossible_settings(setting, message):
  with pytest.raises(ValueError, match=message):
    _evaluator(**setting)


def test_learned_step_sizes_cannot_be_halved():
  agent = _agent(step_size=step_sizes.ParameterStepSizes())
  with pytest.raises(ValueError, match="learned: give 'constant'"):
    _evaluator(agent, step_size_schedule='halve')
