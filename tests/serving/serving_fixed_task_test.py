"""A SavedModel for one task, and the replacement of an older one."""

import pathlib

import numpy as np
import pytest
import tensorflow as tf
from tf_agents.drivers import py_driver
from tf_agents.policies import policy_saver
from tf_agents.policies import py_tf_eager_policy
from tf_agents.trajectories import time_step as ts

from maml_tf import serving
from maml_tf.environments import point_navigation
from tests import point_agent


@pytest.fixture(name='point', scope='module')
def create_point_agent():
  return point_agent.create_agent()


@pytest.mark.parametrize('deterministic', [True, False])
def test_a_fixed_task_is_a_policy_without_a_state(
  deterministic, point, tmp_path
):
  directory = str(tmp_path / 'task')
  parameters = tuple(
    p[0] for p in point_agent.different_parameters(point, 1, seed=4)
  )
  serving.save_fixed_task(point, parameters, directory, deterministic)
  assert policy_saver.POLICY_SPECS_PBTXT in {
    path.name for path in pathlib.Path(directory).iterdir()
  }
  model = tf.saved_model.load(directory)
  (signature,) = model.signatures.values()
  assert set(model.signatures) == {'serving_default'}
  assert set(signature.structured_outputs) == {'action'}
  rng = np.random.default_rng(0)
  observation = tf.constant(rng.normal(size=(5, 2)), tf.float32)
  time_step = ts.restart(observation, batch_size=5)
  expected = point.adapted_policy(parameters, deterministic=True)
  mean = expected.action(time_step).action
  action = signature(observation)['action']
  assert np.allclose(action, mean, atol=1e-6) == deterministic
  assert model.action(time_step).state == ()

  environment = point_navigation.PointNavigation(1, 1, horizon=4)
  policy = py_tf_eager_policy.SavedModelPyTFEagerPolicy(
    directory, load_specs_from_pbtxt=True, batch_time_steps=False
  )
  frames = []
  py_driver.PyDriver(environment, policy, [frames.append], max_steps=4).run(
    environment.reset()
  )
  means = [
    expected.action(ts.restart(tf.constant(f.observation), 1)).action
    for f in frames
  ]
  actions = [f.action for f in frames]
  assert np.allclose(actions, means, atol=1e-6) == deterministic


def test_the_old_model_stays_until_the_new_one_is_complete(
  point, tmp_path, monkeypatch
):
  directory = tmp_path / 'model'
  serving.save_fixed_task(point, point.meta_parameters, str(directory))
  before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')}
  save = policy_saver.PolicySaver.save

  def interrupted(saver, export_dir):
    save(saver, export_dir)
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(policy_saver.PolicySaver, 'save', interrupted)
    with pytest.raises(KeyboardInterrupt):
      serving.save_fixed_task(point, point.meta_parameters, str(directory))
  assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob('*')} == before

  serving.save_fixed_task(point, point.meta_parameters, str(directory))
  assert [p.name for p in tmp_path.iterdir()] == ['model']
  after = (directory / 'saved_model.pb').stat().st_mtime_ns
  assert after != before[directory / 'saved_model.pb']
  # Its permissions are those of any new folder.
  (tmp_path / 'plain').mkdir()
  assert directory.stat().st_mode == (tmp_path / 'plain').stat().st_mode


def test_a_folder_of_something_else_is_not_replaced(point, tmp_path):
  (tmp_path / 'thesis.tex').write_text('Years of work.')
  with pytest.raises(ValueError, match='exists and is not a SavedModel'):
    serving.save_adaptive(point, str(tmp_path))
  with pytest.raises(ValueError, match='exists and is not a SavedModel'):
    serving.save_adaptive(point, str(tmp_path / 'thesis.tex'))
  assert (tmp_path / 'thesis.tex').read_text() == 'Years of work.'


def test_parameters_are_read_by_order_or_by_name(point, tmp_path):
  state = point_agent.different_parameters(point, 1, seed=2)
  path = str(tmp_path / 'state.npz')
  named = {f'state_{i}': p for i, p in enumerate(state)} | {'state_steps': [1]}
  for positional, keywords in (
    (state, {}),
    ([p[0] for p in state], {}),
    ((), named),
  ):
    np.savez(path, *positional, **keywords)
    parameters = serving.load_parameters(point, path)
    for ours, theirs in zip(parameters, state, strict=True):
      np.testing.assert_array_equal(ours, theirs[0])


def test_files_that_hold_no_parameters(point, tmp_path):
  path = str(tmp_path / 'state.npz')
  state = [v.numpy() for v in point.meta_parameters]

  def refused(match, *arrays):
    np.savez(path, *arrays)
    with pytest.raises(ValueError, match=match):
      serving.load_parameters(point, path)

  refused(r'has no state_0 \(or arr_0\)')
  refused('has no state_4', *state[:4])
  refused(r'state_0 .* has shape \(3, 8\): .* \(2, 8\)', np.ones((3, 8)))
  refused('has shape', *(np.stack([p, p]) for p in state))
  refused('state_0 .* is not finite', state[0] * np.nan)
  pathlib.Path(path).write_text('no archive')
  with pytest.raises(ValueError, match='not an .npz file'):
    serving.load_parameters(point, path)
  np.save(str(tmp_path / 'one.npy'), state[0])
  with pytest.raises(ValueError, match='not an .npz file'):
    serving.load_parameters(point, str(tmp_path / 'one.npy'))
