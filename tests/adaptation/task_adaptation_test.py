"""maml_tf.adapt does what the collector does, for any single environment."""

import os
import shutil

import gin
import gymnasium
import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import py_driver
from tf_agents.environments import tf_py_environment
from tf_agents.policies import py_tf_eager_policy
from tf_agents.trajectories import time_step as ts

import maml_tf
from maml_tf.adaptation import task_adaptation
from maml_tf.core import errors
from maml_tf.environments import locomotion
from maml_tf.environments import point_navigation
from maml_tf.environments.gymnasium_bridge import supervised_environments
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import step_sizes
from maml_tf.run import trained_run
from tests import point_agent
from tests.environments.gymnasium_bridge import counted_episodes
from tests.environments.gymnasium_bridge import faulty_walk

GOAL = (0.3, -0.2)


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return point_agent.create_agent()


@pytest.fixture(name='cheetah', scope='module')
def create_cheetah():
  return point_agent.create_agent(locomotion.HalfCheetahDirection(1, 1))


def _points(num_episodes=4, horizon=30, environment=None):
  environment = environment or point_navigation.PointNavigation(
    1, num_episodes, horizon
  )
  environment.set_tasks([GOAL])
  return environment


def _is_theta(agent, parameters):
  """Whether parameters equal the meta-parameters, bit for bit."""
  return all(
    np.array_equal(p.numpy(), v.numpy())
    for p, v in zip(parameters, agent.meta_parameters, strict=True)
  )


@pytest.mark.parametrize(
  ('environment_class', 'horizon'),
  [
    (point_navigation.PointNavigation, 30),
    # Its resets are random.
    (locomotion.HalfCheetahDirection, 5),
  ],
)
def test_it_equals_the_collector(environment_class, horizon):
  environment = environment_class(1, 4, horizon)
  agent = point_agent.create_agent(environment)
  # Iteration 0: training's iterations count from 1.
  collected = maml_tf.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 2, seed=9
  ).collect(0)
  environment.set_tasks(collected.tasks)
  adapted = maml_tf.adapt(
    agent, environment, num_steps=2, episodes_per_step=4, seed=9
  )
  np.testing.assert_allclose(
    adapted.returns, collected.returns[:, 0], rtol=1e-4
  )
  for ours, theirs in zip(
    adapted.parameters, collected.policy_states[2], strict=True
  ):
    np.testing.assert_allclose(ours, theirs[0], rtol=0, atol=1e-6)
  assert all(step.taken and not step.reason for step in adapted.steps)
  assert all(0 < step.kl < np.inf for step in adapted.steps)


def test_a_run_adapts_from_its_folder_and_gets_better(learned_run):
  adapted = maml_tf.adapt(learned_run.root_dir, _points(20, 100))
  before, after = adapted.returns.mean(axis=1)
  # The goal is 0.36 away: a policy that stays at the origin gets -36.
  assert after > before + 8
  # A foreign environment of one row plays one episode after another.
  one_by_one = maml_tf.adapt(learned_run.root_dir, _points(1, 100))
  assert one_by_one.returns.shape == (2, 20)
  before, after = one_by_one.returns.mean(axis=1)
  assert after > before + 8


def test_a_run_is_loaded_and_traced_once(learned_run, tmp_path, monkeypatch):
  folder = shutil.copytree(learned_run.root_dir, tmp_path / 'run')
  loads, load = [], trained_run.load
  monkeypatch.setattr(
    trained_run, 'load', lambda path: (loads.append(path), load(path))[1]
  )
  traces, mean_kl = [], task_adaptation._mean_kl
  monkeypatch.setattr(
    task_adaptation,
    '_mean_kl',
    lambda *arguments: (traces.append(1), mean_kl(*arguments))[1],
  )
  gin.clear_config()
  results = [maml_tf.adapt(folder, _points(), 1, 4) for _ in range(2)]
  (tmp_path / 'link').symlink_to(folder)
  results.append(maml_tf.adapt(str(tmp_path / 'link'), _points(), 1, 4))
  assert len(loads) == 1 and len(traces) == 1
  for result in results[1:]:
    np.testing.assert_array_equal(result.returns, results[0].returns)
  # The run trains on.
  newest = max((folder / 'checkpoints').glob('*.index'))
  os.utime(newest, (1, 1))
  maml_tf.adapt(folder, _points(), 0, 4)
  assert len(loads) == 2


def test_the_policy_is_an_ordinary_one_with_the_parameters_as_its_state(agent):
  environment = _points()
  adapted = maml_tf.adapt(agent, environment, num_steps=1)
  assert not _is_theta(agent, adapted.parameters)
  state = adapted.policy.get_initial_state(None)
  tf.nest.map_structure(
    np.testing.assert_array_equal, state, adapted.parameters
  )
  frames = []
  driver = py_driver.PyDriver(
    environment,
    py_tf_eager_policy.PyTFEagerPolicy(adapted.policy, batch_time_steps=False),
    observers=[frames.append],
    max_steps=8,
  )
  driver.run(environment.reset(), adapted.policy.get_initial_state(4))
  assert len(frames) >= 2


@pytest.mark.parametrize('deterministic', [False, True])
def test_the_policy_acts_by_the_mode_if_asked(agent, deterministic):
  environment = tf_py_environment.TFPyEnvironment(_points())
  policy = maml_tf.adapt(
    agent, environment.pyenv, num_steps=0, deterministic=deterministic
  ).policy
  time_step = environment.reset()
  one, other = (policy.action(time_step).action for _ in range(2))
  assert np.array_equal(one, other) == deterministic


def test_step_size_takes_the_place_of_the_agents(agent):
  steps = [
    maml_tf.adapt(agent, _points(), num_steps=1, step_size=size).parameters
    for size in (0.01, 0.02)
  ]
  for theta, short, long in zip(agent.meta_parameters, *steps):
    np.testing.assert_allclose(
      long - theta, 2 * (short - theta), rtol=1e-3, atol=1e-6
    )
  assert not _is_theta(agent, steps[0])


def test_the_seed_decides(agent):
  one, same, other = (
    maml_tf.adapt(agent, _points(), num_steps=1, seed=seed)
    for seed in (0, 0, 1)
  )
  np.testing.assert_array_equal(one.returns, same.returns)
  tf.nest.map_structure(
    np.testing.assert_array_equal, one.parameters, same.parameters
  )
  assert np.all(one.returns != other.returns)


def test_a_step_beyond_the_kl_bound_is_halved(agent):
  free = maml_tf.adapt(agent, _points(), num_steps=1, step_size=1.0)
  (step,) = free.steps
  assert step.taken and step.fraction == 1
  bounded = maml_tf.adapt(
    agent, _points(), num_steps=1, step_size=1.0, max_kl=0.1 * step.kl
  )
  (part,) = bounded.steps
  # The KL grows like the square of the step: a quarter has a sixteenth.
  assert part.taken and part.fraction == 0.25 and part.kl <= 0.1 * step.kl
  for theta, new, full in zip(
    agent.meta_parameters, bounded.parameters, free.parameters, strict=True
  ):
    np.testing.assert_allclose(
      new - theta, 0.25 * (full - theta), rtol=1e-3, atol=1e-6
    )
  unchanged = maml_tf.adapt(
    agent, _points(), num_steps=1, step_size=1.0, max_kl=2 * step.kl
  )
  assert unchanged.steps[0].fraction == 1


def test_a_step_that_is_too_long_however_often_it_is_halved(agent):
  bounded = maml_tf.adapt(agent, _points(), num_steps=1, max_kl=1e-30)
  assert _is_theta(agent, bounded.parameters)
  (step,) = bounded.steps
  assert not step.taken and step.fraction == 0
  assert step.reason.startswith('0.000977 of the step has a KL of ')
  assert 'max_kl = 1e-30' in step.reason


def test_the_kl_is_that_of_the_two_policies(agent):
  environment = _points()
  collected = maml_tf.MetaCollector(
    environment, agent.collect_policy, agent.adapt, 0, seed=0
  ).collect(0)
  # The episodes are the same: noise and resets have the same keys.
  environment.set_tasks(collected.tasks)
  adapted = maml_tf.adapt(agent, environment, num_steps=1, episodes_per_step=4)
  stage = collected.meta_batch.query
  valid = ~stage.is_boundary().numpy()[0]
  old = tf.nest.map_structure(lambda t: t[0][valid], stage.policy_info[0])
  frames = tf.nest.map_structure(lambda t: t[0][valid], stage)
  new = adapted.policy.distribution(
    ts.TimeStep(
      frames.step_type, frames.reward, frames.discount, frames.observation
    ),
    adapted.policy.get_initial_state(1),
  ).action
  mean, scale = (
    old['loc'].numpy().astype(np.float64),
    old['scale_diag'].numpy().astype(np.float64),
  )
  new_mean, new_scale = new.mean().numpy(), new.stddev().numpy()
  # KL of normals: log(s'/s) + (s^2 + (m - m')^2) / (2 s'^2) - 1/2.
  kl = (
    np.log(new_scale / scale)
    + (scale**2 + (mean - new_mean) ** 2) / (2 * new_scale**2)
    - 0.5
  )
  np.testing.assert_allclose(
    adapted.steps[0].kl, kl.sum(axis=1).mean(), rtol=1e-3
  )


@pytest.mark.parametrize('name', ['observation', 'reward'])
def test_a_sensor_that_reports_nan(agent, name):
  # Episode 1 is in stage 0, the episodes 2 and 3 in stage 1.
  environment = counted_episodes.CountedEpisodes((3, 4), faults={(1, 2): name})
  adapted = maml_tf.adapt(agent, environment, num_steps=1, episodes_per_step=2)
  assert _is_theta(agent, adapted.parameters)
  (step,) = adapted.steps
  assert not step.taken and np.isnan(step.kl)
  assert step.reason == f'the {name} of step 2 of an episode is not finite'
  assert np.isnan(adapted.returns[0]).all()
  # Rewards are 10 i + t: 3 * 20 + 6 and 4 * 30 + 10.
  np.testing.assert_array_equal(adapted.returns[1], [66, 130])


def test_after_a_failed_step_the_next_one_uses_new_episodes(agent):
  environment = counted_episodes.CountedEpisodes(
    (3,), faults={(0, 1): 'reward'}
  )
  adapted = maml_tf.adapt(agent, environment, num_steps=2, episodes_per_step=3)
  assert [step.taken for step in adapted.steps] == [False, True]
  assert not _is_theta(agent, adapted.parameters)


def test_learned_step_sizes_know_the_steps_that_were_taken():
  inner_loop = inner_loop_lib.InnerLoop(2, step_sizes.LayerStepSizes(0.1))
  agent = point_agent.create_agent(inner_loop=inner_loop)
  for variable in inner_loop.variables_tuple:
    # The first step changes nothing.
    variable.assign([-30.0, 0.0])
  theta = agent.collect_policy.get_initial_state(None)
  moved = []
  for faults in ({}, {(0, 1): 'reward'}):
    environment = counted_episodes.CountedEpisodes((3,), faults=faults)
    phi = maml_tf.adapt(agent, environment, episodes_per_step=3).parameters
    moved.append(max(np.abs(p - t).max() for p, t in zip(phi, theta)))
  assert moved[0] > 1e-3
  assert moved[1] < 1e-6


def test_a_step_to_parameters_that_are_not_finite_is_not_taken(agent):
  adapted = maml_tf.adapt(agent, _points(), num_steps=1, step_size=1e38)
  assert _is_theta(agent, adapted.parameters)
  (step,) = adapted.steps
  assert not step.taken
  assert 'not finite' in step.reason or 'the KL of the step is' in step.reason


@pytest.mark.parametrize('num_envs', [None, 2])
def test_a_half_cheetah_of_gymnasium(cheetah, num_envs):
  options = {'max_episode_steps': 25}
  if num_envs is None:
    environment = gymnasium.make('HalfCheetah-v5', **options)
  else:
    environment = gymnasium.make_vec(
      'HalfCheetah-v5', num_envs, vectorization_mode='sync', **options
    )
  adapted, again = (
    maml_tf.adapt(cheetah, environment, num_steps=1, episodes_per_step=3)
    for _ in range(2)
  )
  environment.close()
  assert adapted.returns.shape == (2, 3)
  assert adapted.steps[0].taken
  np.testing.assert_array_equal(adapted.returns, again.returns)
  # Gymnasium pays for the velocity forward, less 0.1 |action|^2: 25 steps of
  # random torques go nowhere in particular.
  assert np.all(np.abs(adapted.returns) < 60)
  assert len(np.unique(adapted.returns)) == 6


def test_processes_that_fail_cost_their_episodes(agent, tmp_path):
  # In stage 0 a process dies at its second step, in stage 1 one hangs; one that
  # raises is row 0's, whose episodes come first.
  faults = [
    {'fault': 'raise', 'at': 'step 3'},
    {'fault': 'kill', 'at': 'step 2'},
    {'fault': 'loop', 'at': 'step 12'},
  ]
  functions = []
  for number, fault in enumerate(faults):
    folder = tmp_path / str(number)
    folder.mkdir()
    functions.append(
      lambda fault=fault, folder=folder: faulty_walk.FaultyWalk(
        5, folder=folder, **fault
      )
    )
  environment = supervised_environments.SupervisedVectorEnv(
    functions, timeout=4
  )
  adapted = maml_tf.adapt(agent, environment, num_steps=1, episodes_per_step=4)
  # A whole episode has 5 steps, each of which pays 1.
  np.testing.assert_array_equal(adapted.returns, np.full((2, 4), 5))
  np.testing.assert_array_equal(adapted.num_discarded, [2, 1])
  assert environment.num_restarts == {'raised': 1, 'died': 1, 'hung': 1}
  assert adapted.steps[0].taken
  environment.close()


def test_processes_that_fail_too_often(agent, tmp_path):
  environment = supervised_environments.SupervisedVectorEnv(
    [
      lambda: faulty_walk.FaultyWalk(
        fault='raise', at='step 2', times=9, folder=tmp_path
      )
    ],
    max_restarts=1,
  )
  with pytest.raises(RuntimeError, match='row 0 raised ValueError') as error:
    maml_tf.adapt(agent, environment, num_steps=1, episodes_per_step=1)
  assert 'in _raise' in str(error.value)
  environment.close()


def test_environments_that_do_not_match(agent):
  environment = gymnasium.make('CartPole-v1')
  with pytest.raises(ValueError) as error:
    maml_tf.adapt(agent, environment)
  assert str(error.value).startswith(
    "the environment's observations are float32 [4], but the policy's are"
    ' float32 [2]: '
  )
  assert '\n' not in str(error.value)
  environment.close()
  with pytest.raises(ValueError, match='plays 3 tasks: give one with num_tas'):
    maml_tf.adapt(agent, point_navigation.PointNavigation(3, 2))
  with pytest.raises(ValueError, match='environment is a str: give a TaskEnv'):
    maml_tf.adapt(agent, 'HalfCheetah-v5')
  with pytest.raises(ValueError, match='environment is a TFPyEnvironment'):
    maml_tf.adapt(agent, tf_py_environment.TFPyEnvironment(_points()))


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'num_steps': -1}, 'num_steps is -1'),
    ({'num_steps': 1.5}, 'num_steps is 1.5'),
    ({'episodes_per_step': 0}, 'episodes_per_step is 0'),
    ({'step_size': 0.0}, 'step_size is 0.0'),
    ({'max_kl': -1.0}, 'max_kl is -1.0'),
    ({'max_kl': float('nan')}, 'max_kl is nan'),
    ({'max_episode_steps': 0}, 'max_episode_steps is 0'),
    ({'seed': -1}, 'seed is -1'),
  ],
)
def test_impossible_arguments(agent, arguments, message):
  with pytest.raises(ValueError, match=message):
    maml_tf.adapt(agent, _points(), **arguments)


def test_a_folder_without_a_run(tmp_path):
  with pytest.raises(errors.UsageError, match='holds no run'):
    maml_tf.adapt(str(tmp_path), _points())
