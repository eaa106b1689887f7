"""The SavedModel does what the agent does, for every client."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import py_driver
from tf_agents.policies import py_tf_eager_policy
from tf_agents.trajectories import time_step as ts

from maml_tf import serving
from maml_tf.environments import point_navigation
from tests import point_agent
from tests import tensorflow_lines
from tests.learning import recorded_batches
from tests.serving import served_agents
from tests.serving import serving_client

CLIENT = pathlib.Path(serving_client.__file__)
PARTS = ('goal', 'joint_angle')


@pytest.fixture(name='agent', scope='module')
def create_agent():
  return served_agents.create_agent()


@pytest.fixture(name='model_dir', scope='module')
def save_model(agent, tmp_path_factory):
  directory = str(tmp_path_factory.mktemp('served') / 'model')
  serving.save_adaptive(agent, directory)
  return directory


@pytest.fixture(name='model', scope='module')
def load_model(model_dir):
  return tf.saved_model.load(model_dir)


@pytest.fixture(name='point', scope='module')
def create_point_agent():
  return point_agent.create_agent()


@pytest.fixture(name='point_dir', scope='module')
def save_point(point, tmp_path_factory):
  directory = str(tmp_path_factory.mktemp('point') / 'model')
  serving.save_adaptive(point, directory)
  return directory


def _stages(agent, num_stages=2, **kwargs):
  """The stages of a client, recorded with different parameters in each."""
  num_tasks = len(kwargs.get('lengths', recorded_batches.LENGTHS))
  num_parameters = len(agent.policy.policy_state_spec)
  return [
    recorded_batches.record(
      agent,
      recorded_batches.near(agent, num_tasks, seed)[:num_parameters],
      seed,
      **kwargs,
    )
    for seed in range(num_stages)
  ]


def _adapted(agent, stages):
  """The agent's own adaptation to the stages, in this process."""
  state = agent.collect_policy.get_initial_state(stages[0].reward.shape[0])
  for step, stage in enumerate(stages):
    state = agent.adapt(stage, state, step)
  return state


def _frames(stage):
  """A `Trajectory` of `served_agents` under the names of the signature."""
  grip, move = stage.policy_info
  return {
    'step_type': stage.step_type,
    'next_step_type': stage.next_step_type,
    'reward': stage.reward,
    'discount': stage.discount,
    'observation_goal': stage.observation['goal'],
    'observation_joint_angle': stage.observation['joint']['angle'],
    'action_grip': stage.action['grip'],
    'action_move': stage.action['move'],
    'policy_info_0_logits': grip['logits'],
    'policy_info_1_loc': move['loc'],
    'policy_info_1_scale_diag': move['scale_diag'],
  }


def _query(num_rows):
  rng = np.random.default_rng(9)
  return {
    'observation_goal': rng.normal(size=(num_rows, 2)).astype(np.float32),
    'observation_joint_angle': rng.normal(size=(num_rows, 3)).astype(
      np.float32
    ),
  }


def _time_step(query):
  num_rows = len(query['observation_goal'])
  return tf.nest.map_structure(
    tf.constant,
    ts.TimeStep(
      step_type=np.full([num_rows], ts.StepType.MID),
      reward=np.zeros([num_rows], np.float32),
      discount=np.ones([num_rows], np.float32),
      observation={
        'goal': query['observation_goal'],
        'joint': {'angle': query['observation_joint_angle']},
      },
    ),
  )


def _assert_state(named, expected, steps):
  for number, parameter in enumerate(expected):
    np.testing.assert_allclose(
      named[f'state_{number}'], parameter, rtol=1e-6, atol=1e-6
    )
  np.testing.assert_array_equal(named['state_steps'], steps)


def _assert_answer(answer, agent, query, state):
  """`act_adapted` gives the agent's distributions, their modes and draws."""
  step = agent.collect_policy.action(_time_step(query), state)
  info = tf.nest.flatten(step.info)
  names = ('0_logits', '1_loc', '1_scale_diag')
  for name, expected in zip(names, info, strict=True):
    np.testing.assert_allclose(
      answer[f'policy_info_{name}'], expected, rtol=1e-6, atol=1e-6
    )
  logits, loc, _ = info
  np.testing.assert_array_equal(
    answer['deterministic_action_grip'], np.argmax(logits, -1)
  )
  np.testing.assert_allclose(
    answer['deterministic_action_move'], loc, rtol=1e-6, atol=1e-6
  )
  assert answer['action_move'].shape == loc.shape
  assert not np.any(answer['action_move'] == loc)


def record_for_client(path, stages, query):
  """Writes the input of `serving_client`."""
  arrays = {f'query.{name}': value for name, value in query.items()}
  for step, frames in enumerate(stages):
    arrays |= {f'{step}.{n}': t.numpy() for n, t in frames.items()}
  np.savez(
    path,
    batch_size=stages[0]['reward'].shape[0],
    num_adaptation_steps=len(stages),
    **arrays,
  )


def test_a_process_with_tensorflow_alone_adapts_and_acts(
  agent, model_dir, tmp_path
):
  stages, query = _stages(agent), _query(6)
  recorded, out = str(tmp_path / 'recorded.npz'), str(tmp_path / 'out.npz')
  record_for_client(recorded, [_frames(s) for s in stages], query)
  process = subprocess.run(
    [sys.executable, str(CLIENT), model_dir, recorded, out],
    capture_output=True,
    text=True,
    env={'TF_CPP_MIN_LOG_LEVEL': '3', 'PATH': ''},
  )
  assert process.returncode == 0, process.stderr
  assert tensorflow_lines.without(process.stderr) == process.stdout == ''
  answer, state = np.load(out), _adapted(agent, stages)
  _assert_state(answer, state, [2, 2])
  _assert_answer(answer, agent, query, state)
  # Two steps of 0.3, clipped to a norm of 0.5, have moved what adapts.
  moved = [
    np.abs(p - q).max()
    for p, q in zip(state, agent.collect_policy.get_initial_state(2))
  ]
  assert max(moved) > 0.05 and min(moved) == 0


@pytest.mark.parametrize(
  'lengths, num_frames',
  [([[4, 5], [2, 1, 4]], 12), ([[3]], 4), ([[2, 2]] * 3, 31)],
)
def test_the_client_chooses_the_numbers_of_tasks_and_frames(
  lengths, num_frames, agent, model
):
  (stage,) = _stages(agent, 1, lengths=lengths, num_frames=num_frames)
  state = model.signatures['initial_state'](
    batch_size=tf.constant(len(lengths))
  )
  state = model.signatures['adapt'](**_frames(stage), **state)
  _assert_state(state, _adapted(agent, [stage]), [1] * len(lengths))


def test_a_session_calls_the_signatures_as_tensorflow_serving_does(
  agent, model_dir
):
  (stage,) = _stages(agent, 1)
  with tf.Graph().as_default(), tf.compat.v1.Session() as session:
    graph = tf.compat.v1.saved_model.load(session, ['serve'], model_dir)

    def call(name, **inputs):
      signature = graph.signature_def[name]
      assert signature.method_name == 'tensorflow/serving/predict'
      return session.run(
        {name: info.name for name, info in signature.outputs.items()},
        {signature.inputs[k].name: np.asarray(v) for k, v in inputs.items()},
      )

    state = call('initial_state', batch_size=2)
    state = call('adapt', **_frames(stage), **state)
    query = _query(4)
    answer = call('act_adapted', **query, **state)
  expected = _adapted(agent, [stage])
  _assert_state(state, expected, [1, 1])
  _assert_answer(answer, agent, query, expected)


def test_rows_of_several_environments_are_one_task(agent, model):
  # Each row ends with its episode's last observation.
  (rows,) = _stages(agent, 1, lengths=[[3], [3], [3], [3]], num_frames=4)
  stage = tf.nest.map_structure(
    lambda t: tf.reshape(t, [2, 8, *t.shape[2:]]), rows
  )
  state = model.signatures['initial_state'](batch_size=tf.constant(2))
  state = model.signatures['adapt'](**_frames(rows), **state)
  _assert_state(state, _adapted(agent, [stage]), [1, 1])


def test_each_task_takes_its_own_next_step(agent, model):
  (stage,) = _stages(agent, 1)
  state = dict(model.signatures['initial_state'](batch_size=tf.constant(2)))
  state['state_steps'] = tf.constant([1, 5])
  named = model.signatures['adapt'](**_frames(stage), **state)
  initial = agent.collect_policy.get_initial_state(2)
  # The second step's sizes hold for all later ones.
  _assert_state(named, agent.adapt(stage, initial, 1), [2, 6])
  others = agent.adapt(stage, initial, 0)
  assert any(
    np.abs(p - q).max() > 1e-3
    for p, q in zip(others, agent.adapt(stage, initial, 1))
  )


@pytest.mark.slow
def test_an_agent_that_xla_compiles(tmp_path):
  agent = point_agent.create_agent(jit_compile=True)
  serving.save_adaptive(agent, str(tmp_path))
  (stage,) = _stages(agent, 1)
  initial = agent.policy.get_initial_state(2)
  for ours, theirs in zip(
    tf.saved_model.load(str(tmp_path)).adapt(stage, initial),
    agent.adapt(stage, initial),
    strict=True,
  ):
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_tf_agents_nests(agent, model):
  stages, query = _stages(agent), _query(4)
  initial = model.get_initial_state(batch_size=tf.constant(2))
  state = model.adapt(stages[0], initial)
  state = model.adapt(stages[1], state, tf.constant(1))
  expected = _adapted(agent, stages)
  for ours, theirs in zip(state, expected, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
  step = model.action(_time_step(query), state)
  mode = model.deterministic_action(_time_step(query), state)
  answer = model.signatures['act_adapted'](
    state_steps=tf.zeros([2], tf.int32),
    **query,
    **{f'state_{i}': p for i, p in enumerate(state)},
  )
  _assert_answer(answer, agent, query, expected)
  assert step.action['move'].shape == (4, 2)
  np.testing.assert_array_equal(
    mode.action['move'], answer['deterministic_action_move']
  )


def test_tensor_names(model):
  observation = {f'observation_{part}' for part in PARTS}
  answer = {
    'action_grip',
    'action_move',
    'deterministic_action_grip',
    'deterministic_action_move',
    'policy_info_0_logits',
    'policy_info_1_loc',
    'policy_info_1_scale_diag',
  }
  state = {*(f'state_{i}' for i in range(19)), 'state_steps'}
  frames = {'step_type', 'next_step_type', 'reward', 'discount'}
  frames |= {name for name in answer if name[0] in 'ap'} | observation
  assert tensor_names(model) == {
    'initial_state': ({'batch_size'}, state),
    'serving_default': (observation, answer),
    'act_adapted': (observation | state, answer),
    'adapt': (frames | state, state),
  }


def tensor_names(model):
  """The names of the inputs and the outputs of each signature."""
  return {
    key: (set(fn.structured_input_signature[1]), set(fn.structured_outputs))
    for key, fn in model.signatures.items()
  }


def test_serving_default_acts_as_a_task_that_has_not_adapted(agent, model):
  query = _query(5)
  answer = model.signatures['serving_default'](
    **{name: tf.constant(value) for name, value in query.items()}
  )
  _assert_answer(answer, agent, query, agent.policy.get_initial_state(1))


def test_samples_follow_the_distribution_and_differ_between_loads(
  model_dir, model
):
  query = {
    name: tf.constant(np.repeat(value, 20_000, axis=0))
    for name, value in _query(1).items()
  }
  act = model.signatures['serving_default']
  answer = act(**query)
  again = act(**query)
  other = tf.saved_model.load(model_dir).signatures['serving_default'](**query)
  for another in (again, other):
    same = np.mean(another['action_move'] == answer['action_move'])
    assert same < 0.01
  loc, scale, logits = (
    answer[f'policy_info_{n}'][0] for n in ('1_loc', '1_scale_diag', '0_logits')
  )
  # 20,000 draws: four standard errors.
  move = answer['action_move'].numpy()
  assert np.all(np.abs(move.mean(0) - loc) < 4 * scale / np.sqrt(20_000))
  np.testing.assert_allclose(move.std(0), scale, rtol=0.03)
  grip = answer['action_grip'].numpy()
  np.testing.assert_allclose(
    [[np.mean(grip[:, part] == a) for a in range(3)] for part in range(2)],
    tf.nn.softmax(logits),
    atol=0.015,
  )


@pytest.mark.parametrize('is_batched', [True, False])
def test_adapt_takes_the_frames_of_a_stock_driver(point, point_dir, is_batched):
  num_tasks = 2 if is_batched else 1
  environment = point_navigation.PointNavigation(num_tasks, 1, horizon=30)
  policy = py_tf_eager_policy.SavedModelPyTFEagerPolicy(
    point_dir, load_specs_from_pbtxt=True, batch_time_steps=False
  )
  frames = []
  state = policy.get_initial_state(num_tasks)
  py_driver.PyDriver(
    environment, policy, [frames.append], max_steps=None, max_episodes=2
  ).run(environment.reset(), state)
  experience = tf.nest.map_structure(
    lambda *arrays: tf.stack(arrays, axis=1), *frames
  )
  adapted = policy.adapt(experience, state)
  expected = point.adapt(experience, point.policy.get_initial_state(num_tasks))
  for ours, theirs in zip(adapted, expected, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)
  assert any(np.any(p != q) for p, q in zip(adapted, state))
  # And goes on with what adapt returned.
  py_driver.PyDriver(environment, policy, [frames.append], max_steps=2).run(
    environment.reset(), adapted
  )
  _assert_means(point, frames[-1], adapted)


def _assert_means(agent, frame, state):
  time_step = ts.TimeStep(
    frame.step_type, frame.reward, frame.discount, frame.observation
  )
  time_step = tf.nest.map_structure(tf.constant, time_step)
  expected = agent.collect_policy.action(time_step, state).info
  np.testing.assert_allclose(
    frame.policy_info[0]['loc'], expected[0]['loc'], rtol=1e-5, atol=1e-6
  )
