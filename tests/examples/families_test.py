"""The families of docs/own_tasks.md: checked, trained and evaluated."""

import inspect
import os
import pathlib
import re
import shutil
import subprocess
import sys

import mujoco
import numpy as np
import pytest
from tf_agents.environments import utils

from examples import gymnasium_family
from examples import mujoco_family
from examples import numpy_family
import maml_tf
from maml_tf.core import errors
from maml_tf.environments.gymnasium_bridge import gymnasium_tasks
from maml_tf.run import config as run_config
from tests import command_lines

_ROOT = pathlib.Path(__file__).parent.parent.parent
_EXAMPLES = _ROOT / 'examples'
_NAMES = ('gymnasium_family', 'mujoco_family', 'numpy_family')
_SMALL = (
  'train_eval.num_iterations = 1',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'create_actor_network.fc_layer_params = (8,)',
  'GradientUpdate.num_steps = 1',
  'train_eval.export_saved_model = False',
)


_PAGE = (_ROOT / 'docs' / 'own_tasks.md').read_text('utf-8')


def _missing(path):
  return (
    f"No module named 'numpy_family', which {path} imports: start in the folder"
    ' that holds it, or add that folder to PYTHONPATH'
  )


def _run(module, flags, folder, returncode=0, path=()):
  done = subprocess.run(
    [sys.executable, '-m', f'maml_tf.{module}', *flags],
    cwd=folder,
    env={**os.environ, 'PYTHONPATH': os.pathsep.join(map(str, (_ROOT, *path)))},
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )
  assert done.returncode == returncode, done.stderr
  return done.stderr


def _train(name, root_dir, folder=_EXAMPLES, bindings=(), **keywords):
  flags = [f'--gin_file={_EXAMPLES / name}.gin', f'--root_dir={root_dir}']
  flags += [f'--gin_bindings={line}' for line in (*_SMALL, *bindings)]
  return _run('train', flags, folder, **keywords)


def _boats(**keywords):
  return gymnasium_tasks.GymnasiumTasks(
    make_environment=gymnasium_family.Boat, **keywords
  )


def test_a_family_trains_in_the_folder_of_the_examples(tmp_path):
  lines = _train('gymnasium_family', tmp_path / 'run').splitlines()
  assert re.fullmatch(r'train: return on 2 held-out tasks: .+ -> .+', lines[-1])
  assert 'warning' not in '\n'.join(lines)


@pytest.mark.parametrize('name', ['mujoco_family', 'numpy_family'])
def test_the_other_families_train(name, tmp_path, monkeypatch, capfd):
  monkeypatch.syspath_prepend(_EXAMPLES)
  code = command_lines.call(
    'train',
    gin_file=[f'{_EXAMPLES / name}.gin'],
    gin_bindings=list(_SMALL),
    root_dir=str(tmp_path / 'run'),
  )
  assert code == 0, capfd.readouterr().err


def test_a_module_that_is_not_found_is_one_line(monkeypatch):
  monkeypatch.delitem(sys.modules, 'numpy_family', raising=False)
  path = str(_EXAMPLES / 'numpy_family.gin')
  with pytest.raises(errors.UsageError) as caught:
    run_config.parse([path], [])
  assert str(caught.value) == _missing(path)


@pytest.mark.slow
def test_a_run_needs_the_module_again_to_resume_and_to_be_evaluated(tmp_path):
  root_dir, elsewhere = tmp_path / 'run', tmp_path / 'elsewhere'
  elsewhere.mkdir()
  assert _train('numpy_family', root_dir, elsewhere, returncode=2) == (
    f'train: {_missing(_EXAMPLES / "numpy_family.gin")}\n'
  )
  assert not root_dir.exists()
  _train('numpy_family', root_dir, elsewhere, path=[_EXAMPLES])

  # The files may have moved since.
  shutil.copy(_EXAMPLES / 'numpy_family.py', elsewhere)
  more = ['train_eval.num_iterations = 2']
  assert 'iteration 2/2' in _train('numpy_family', root_dir, elsewhere, more)
  flags = [f'--root_dir={root_dir}', '--num_tasks=2', '--episodes=2']
  assert _run('evaluate', flags, tmp_path, 2) == (
    f'evaluate: {_missing(root_dir / "config.gin")}\n'
  )
  _run('evaluate', flags, elsewhere)
  assert (root_dir / 'evaluation.json').exists()


@pytest.mark.parametrize('block', range(2))
def test_the_documented_checks_run(block, monkeypatch):
  monkeypatch.syspath_prepend(_EXAMPLES)
  section = _PAGE.split('## How to check it\n')[1].split('\n## ')[0]
  exec(_blocks(section)[block], {})


def test_the_documented_code_is_that_of_the_examples():
  sources = ''.join(
    (_EXAMPLES / f'{name}.py').read_text('utf-8') for name in _NAMES
  )
  section = _PAGE.split('## A Gymnasium family\n')[1]
  blocks = _blocks(section)
  assert len(blocks) == 3
  for block in blocks:
    assert block in sources


def test_every_argument_of_gymnasium_tasks_is_documented():
  parameters = inspect.signature(gymnasium_tasks.GymnasiumTasks).parameters
  for name in list(parameters)[3:]:
    assert f'`{name}`' in _PAGE, name


def _blocks(text):
  return re.findall(r'```python\n(.*?)```', text, re.DOTALL)


@pytest.mark.parametrize(
  'make', [_boats, mujoco_family.MiswiredPuck, numpy_family.PointingArm]
)
def test_it_keeps_the_contract(make, recwarn):
  environment = make(num_tasks=3, environments_per_task=2, horizon=5)
  maml_tf.testing.check_task_environment(environment)
  environment.close()
  assert not [w for w in recwarn if w.category is UserWarning]


def test_two_steps_of_the_arm_by_hand():
  environment = numpy_family.PointingArm(2, 1, horizon=9)
  utils.validate_py_environment(environment, episodes=4)
  environment.set_tasks([0.5, -0.5])
  environment.seed(0)
  angle, velocity = environment.reset().observation.T
  # Torques of 1, 3 (clipped to 1) and 0.
  for torque in ([1.0, 0.0], [3.0, 0.0]):
    time_step = environment.step(np.array(torque, np.float32)[:, np.newaxis])
    # 0.1 s of 10 rad/s^2 and of a friction of 5 / s.
    velocity = velocity + [1.0, 0.0] - 0.5 * velocity
    angle = angle + 0.1 * velocity
    np.testing.assert_allclose(
      time_step.observation, np.stack([angle, velocity], axis=1), atol=1e-6
    )
    np.testing.assert_allclose(
      time_step.reward, -np.abs(angle - [0.5, -0.5]), atol=1e-6
    )


def test_two_steps_of_the_boat_by_hand():
  boat = gymnasium_family.Boat()
  boat.set_task({'pier': np.array([0.3, 0]), 'current': np.array([0.02, 0])})
  start, _ = boat.reset(seed=0)
  # 0.1 m a step by its own power and 0.02 m by the current.
  observation, reward, terminated, truncated, info = boat.step(
    np.array([1.0, 0.0])
  )
  np.testing.assert_allclose(observation, start + [0.12, 0], atol=1e-6)
  distance = np.hypot(0.3 - observation[0], observation[1])
  np.testing.assert_allclose(reward, -distance, atol=1e-6)
  assert not terminated and not truncated
  assert info == {'success': distance < 0.1}


def test_a_step_of_the_puck_by_hand():
  environment = mujoco_family.MiswiredPuck(2, 2, horizon=9)
  environment.set_tasks([[0.0, 1.0], [np.pi / 2, 2.0]])
  environment.seed(0)
  environment.reset()
  environment.physics.set_state(np.zeros((4, 2)), np.zeros((4, 2)))
  observation = environment.step(np.tile([1.0, 0.0], (4, 1))).observation
  # MuJoCo treats damping implicitly: in 0.02 s, v -> (v + 0.02 F / m)
  # / (1 + 0.02 * damping / m).
  for row, direction, mass in ((0, 0, 1), (1, 0, 1), (2, 1, 2), (3, 1, 2)):
    speed, position = 0.0, 0.0
    for _ in range(5):
      speed = (speed + 0.02 / mass) / (1 + 0.02 / mass)
      position += 0.02 * speed
    expected = np.zeros(4)
    expected[direction], expected[2 + direction] = position, speed
    np.testing.assert_allclose(observation[row], expected, atol=1e-6)
  models = environment.physics.models
  assert models[0] is models[1] and models[2] is models[3]
  environment.close()


def test_impossible_pucks_are_refused_in_one_line():
  environment = mujoco_family.MiswiredPuck(1, 1)
  with pytest.raises(ValueError, match='masses must be positive: give'):
    environment.set_tasks([[0.0, 0.0]])
  environment.close()


def test_the_puck_scales_its_inertia_with_its_mass():
  environment = mujoco_family.MiswiredPuck(2, 1)
  environment.set_tasks([[0.0, 1.0], [0.0, 2.0]])
  one, two = (
    model.body_inertia[model.body('puck').id]
    for model in environment.physics.models
  )
  np.testing.assert_allclose(two, 2 * one)
  assert isinstance(environment.physics.models[0], mujoco.MjModel)
  environment.close()


@pytest.mark.slow
@pytest.mark.parametrize('name', _NAMES)
def test_it_learns(name, tmp_path):
  lines = _run(
    'train',
    [f'--gin_file={name}.gin', f'--root_dir={tmp_path / "run"}'],
    _EXAMPLES,
  ).splitlines()
  before, after = map(float, re.findall(r'-\d+\.\d', lines[-1]))
  assert after > before + 4
