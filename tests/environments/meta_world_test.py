"""Meta-World's benchmarks: lists of tasks, classes of rows, equal physics."""

import importlib.util
import re
import sys

import numpy as np
import pytest

from maml_tf.environments import meta_world
from maml_tf.environments import meta_world_environment
from maml_tf.environments import tasks as tasks_lib
from tests.environments import meta_world_double

needs_meta_world = pytest.mark.skipif(
  importlib.util.find_spec('metaworld') is None,
  reason='the extra metaworld is not installed',
)


@pytest.fixture
def double():
  with meta_world_double.installed():
    yield meta_world_double


def _family(num_tasks=4, each=2, **arguments):
  return meta_world.MetaWorldTasks(
    num_tasks, each, **{'horizon': 5, 'num_processes': 1, **arguments}
  )


def _draw(environment, num_tasks, seed=0):
  rng = np.random.default_rng(seed)
  return [environment.sample_task(index, rng) for index in range(num_tasks)]


def test_goals_of_all_classes_take_turns(double):
  family = _family(benchmark='ML10')
  training, held_out = family.task_list
  assert [(t.env_name, t.goal) for t in training[:3]] == [
    ('reach-v3', 0),
    ('push-v3', 0),
    ('reach-v3', 1),
  ]
  assert [(t.env_name, t.goal) for t in held_out[:4]] == [
    ('door-v3', 0),
    ('drawer-v3', 0),
    ('lever-v3', 0),
    ('door-v3', 1),
  ]
  assert len(training) == 2 * double.NUM_GOALS
  assert len(held_out) == 3 * double.NUM_GOALS
  assert family.held_out_classes == ('door-v3', 'drawer-v3', 'lever-v3')
  assert tasks_lib.name(held_out[4]) == 'drawer-v3 test goal 1'
  assert tasks_lib.name(training[5]) == 'push-v3 train goal 2'


def test_the_goals_are_those_of_the_benchmark(double):
  family = _family(benchmark='ML1', task_name='push-v3', benchmark_seed=3)
  benchmark = double.ML1('push-v3', seed=3)
  training, held_out = family.task_list
  assert [t.data for t in training] == [t.data for t in benchmark.train_tasks]
  assert [t.data for t in held_out] == [t.data for t in benchmark.test_tasks]
  assert not {t.data for t in training} & {t.data for t in held_out}


@pytest.mark.usefixtures('double')
def test_a_place_always_plays_the_same_class():
  family = _family(benchmark='ML10')
  assert family.num_kinds == 2
  for seed in range(3):
    names = [task.env_name for task in _draw(family, 4, seed)]
    assert names == ['reach-v3', 'push-v3', 'reach-v3', 'push-v3']
  names = [t.env_name for t in family.sample_tasks(3, np.random.default_rng(0))]
  assert names == ['reach-v3', 'push-v3', 'reach-v3']
  goals = {_draw(family, 1, seed)[0].goal for seed in range(50)}
  assert goals == set(range(meta_world_double.NUM_GOALS))
  rng = np.random.default_rng(0)
  assert family.held_out_task(4, rng) is family.task_list.held_out[4]


def test_a_row_holds_one_environment_at_a_time(double):
  family = _family(benchmark='ML10')
  alive = double.Hand.num_alive
  family.set_tasks(_draw(family, 4))
  assert double.Hand.num_alive == alive + 8
  family.set_tasks(_draw(family, 4, seed=1))
  assert double.Hand.num_alive == alive + 8
  family.set_tasks([family.task_list.held_out[i] for i in range(4)])
  assert double.Hand.num_alive == alive + 8
  family.close()
  # The one that was tried is closed, too.
  assert double.Hand.num_alive == alive - 1


@pytest.mark.usefixtures('double')
def test_rewards_and_successes_are_those_of_the_class():
  family = _family(2, 1, benchmark='ML10')
  family.set_tasks(_draw(family, 2))
  family.reset()
  action = np.zeros((2, 4), np.float32)
  action[:, 0] = 0.5
  time_step = family.step(action)
  # 0.2 * 0.5 the one way, and the other way.
  np.testing.assert_allclose(time_step.observation[:, 0], [0.1, -0.1])
  assert time_step.observation.shape == (2, 39)
  assert family.success.shape == (2,)
  np.testing.assert_array_equal(
    family.success, time_step.reward > np.float32(9.9)
  )


@pytest.mark.usefixtures('double')
def test_pictures_are_those_of_the_class():
  family = _family(2, 1, benchmark='ML10')
  family.prepare_rendering()
  family.set_tasks(_draw(family, 2))
  family.reset()
  pictures = family.render_state()
  assert pictures.shape[0] == 2
  assert set(np.unique(pictures)) >= {0, 100}
  family.close()


@pytest.mark.usefixtures('double')
@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'benchmark': 'ML2'}, "benchmark is 'ML2'"),
    ({'task_name': 'fly-v3'}, "task_name is 'fly-v3': give one of door-v3"),
    ({'horizon': 501}, 'horizon is 501, .* give at most 500'),
    ({'reward_function_version': 'v3'}, "reward_function_version is 'v3'"),
    ({'benchmark_seed': -1}, 'benchmark_seed is -1'),
  ],
)
def test_impossible_arguments(arguments, message):
  with pytest.raises(ValueError, match=message):
    _family(**arguments)


@pytest.mark.usefixtures('double')
def test_other_objects_are_no_tasks():
  family = _family(1, 1)
  with pytest.raises(ValueError, match='a task is 3: give tasks of'):
    family.set_tasks([3])


def test_without_the_package_one_line_names_the_extra(monkeypatch):
  meta_world.load_benchmark.cache_clear()
  monkeypatch.setitem(sys.modules, 'metaworld', None)
  with pytest.raises(ValueError, match=re.escape("'.[metaworld]'")):
    _family()


@needs_meta_world
def test_steps_are_those_of_meta_world():
  metaworld = meta_world.import_meta_world()
  family = _family(2, 1)
  tasks = _draw(family, 2)
  family.set_tasks(tasks)
  actions = np.random.default_rng(0).uniform(-1.5, 1.5, (5, 2, 4))
  steps = [family.reset()] + [family.step(a) for a in actions.astype('f4')]
  for row, task in enumerate(tasks):
    bare = metaworld.ALL_V3_ENVIRONMENTS['reach-v3']()
    bare.set_task(task)
    observation, _ = bare.reset()
    np.testing.assert_allclose(steps[0].observation[row], observation, 1e-6)
    for t, action in enumerate(actions[:, row].astype('f4')):
      observation, reward, *_ = bare.step(np.clip(action, -1, 1))
      np.testing.assert_allclose(
        steps[t + 1].observation[row], observation, 1e-6
      )
      np.testing.assert_allclose(steps[t + 1].reward[row], reward, 1e-6)
    # The goal is not observed.
    assert not steps[0].observation[row, -3:].any()
  family.close()


@needs_meta_world
def test_test_goals_are_not_served_in_training():
  metaworld = meta_world.import_meta_world()
  benchmark = metaworld.ML1('reach-v3', seed=0)
  training = [task.data for task in benchmark.train_tasks]
  family = _family(3, 1)
  assert [t.data for t in family.task_list.training] == training
  assert [t.data for t in family.task_list.held_out] == [
    task.data for task in benchmark.test_tasks
  ]
  assert all(task.data in training for task in _draw(family, 3))
  family.close()


@needs_meta_world
def test_processes_give_the_same_bits():
  episodes = []
  for num_processes in (1, 2):
    family = _family(2, 2, num_processes=num_processes)
    family.set_tasks(_draw(family, 2))
    family.seed(0)
    rng = np.random.default_rng(0)
    steps = [family.reset()]
    for _ in range(7):  # Over the end of an episode.
      steps.append(family.step(rng.uniform(-1, 1, (4, 4)).astype('f4')))
    episodes.append(
      [(s.observation.tobytes(), s.reward.tobytes()) for s in steps]
    )
    family.close()
  assert episodes[0] == episodes[1]


@needs_meta_world
def test_an_episode_is_truncated_where_meta_world_says():
  environment = meta_world_environment.MetaWorldEnvironment()
  task = meta_world.load_benchmark('ML1', 'reach-v3', 0).tasks.training[0]
  environment.set_task(task)
  environment.reset(seed=0)
  ends = [environment.step(np.zeros(4, 'f4'))[2:4] for _ in range(500)]
  assert ends == [(False, False)] * 499 + [(False, True)]
  environment.close()


@needs_meta_world
@pytest.mark.slow
def test_all_classes_fit_and_start_alike_after_any_episode():
  metaworld = meta_world.import_meta_world()
  tasks = meta_world.load_benchmark('ML45', '', 0).tasks
  by_class = {t.env_name: t for t in (*tasks.training, *tasks.held_out)}
  assert len(by_class) == 50
  used = meta_world_environment.MetaWorldEnvironment()
  rng = np.random.default_rng(0)
  for name, task in by_class.items():
    new = metaworld.ALL_V3_ENVIRONMENTS[name]()
    assert new.max_path_length == used.max_path_length
    assert new.observation_space.shape == used.observation_space.shape
    assert new.action_space == used.action_space
    new.set_task(task)
    expected, _ = new.reset()
    used.set_task(task)
    used.reset()
    for action in rng.uniform(-1, 1, (60, 4)).astype('f4'):
      used.step(action)
    observation, _ = used.reset()
    np.testing.assert_array_equal(observation, expected)
  used.close()
