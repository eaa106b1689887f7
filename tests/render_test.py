"""The command line of the video: its pictures and its errors."""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest

import maml_tf
from maml_tf.adaptation import task_adaptation
from maml_tf.core import errors
from maml_tf.environments.rendering import headless_graphics
from maml_tf.environments.rendering import point_renderer
from maml_tf.run import trained_run
from tests import command_lines
from tests import tensorboard_reader


@pytest.fixture(name='points', scope='module')
def copy_point_run(point_run, tmp_path_factory):
  folder = tmp_path_factory.mktemp('points') / 'run'
  return shutil.copytree(point_run.root_dir, str(folder))


@pytest.fixture(name='cheetah')
def cheetah_dir(cheetah_run):
  return str(cheetah_run.root_dir)


def _main(*argv, **values):
  """Calls `main` with flags, in this process; returns the exit code."""
  return command_lines.call('render', argv, **values)


def _run(*arguments, cwd, **environment):
  """Runs the command line as a user does."""
  inherited = {
    name: value
    for name, value in os.environ.items()
    if name not in ('TF_CPP_MIN_LOG_LEVEL', 'PYTHONWARNINGS', 'MUJOCO_GL')
  }
  root = str(pathlib.Path(maml_tf.__file__).parents[1])
  return subprocess.run(
    [sys.executable, '-m', 'maml_tf.render', *arguments],
    env=inherited | {'PYTHONPATH': root} | environment,
    cwd=cwd,
    capture_output=True,
    text=True,
    timeout=300,
    check=False,
  )


def _pictures(path):
  """All frames of a gif, uint8 [num, H, W, 3]."""
  with Image.open(path) as image:
    frames = []
    for i in range(image.n_frames):
      image.seek(i)
      frames.append(np.asarray(image.convert('RGB')))
  return np.stack(frames)


def test_it_films_points(points, tmp_path, monkeypatch, capfd):
  monkeypatch.chdir(tmp_path)
  code = _main(
    root_dir=points,
    task='0.5,-0.25',
    width=100,
    height=81,
    num_adaptation_steps=2,
    episodes=3,
    fps=10.0,
    out='mine.gif',
  )
  printed = capfd.readouterr()
  assert code == 0, printed.err
  assert printed.out == ''
  first, second = printed.err.splitlines()
  number = r'-?\d+\.\d'
  assert re.fullmatch(
    rf'render: task 0.5, -0.25: return {number} -> {number} -> {number}, mean'
    ' of 3 episodes',
    first,
  )
  assert second == 'render: wrote 7 frames to mine.gif'
  assert [path.name for path in tmp_path.iterdir()] == ['mine.gif']
  with Image.open(tmp_path / 'mine.gif') as image:
    assert image.info['duration'] == 100
  frames = _pictures(tmp_path / 'mine.gif')
  # The horizon's six steps and the start; two pictures and 4 pixels between
  # them, captions of 4 * 9 pixels above, and one to make the height even.
  assert frames.shape == (7, 118, 204, 3)
  # All begin at the origin, and then the ways part.
  np.testing.assert_array_equal(
    frames[0, 36:117, :100], frames[0, 36:117, 104:]
  )
  left, right = frames[:, 36:117, :100], frames[:, 36:117, 104:]
  assert (left[-1] != right[-1]).any()
  assert (left[0] != left[-1]).any()


@pytest.mark.slow
def test_a_process_films_a_half_cheetah(cheetah, tmp_path):
  if not any(headless_graphics.works(name) for name in ('egl', 'osmesa')):
    pytest.skip('neither EGL nor OSMesa is installed')
  done = _run(f'--root_dir={cheetah}', '--task=-1', '--out=a.gif', cwd=tmp_path)
  assert done.returncode == 0, done.stderr
  assert 'render: task -1: return' in done.stderr.splitlines()[0]
  assert len(done.stderr.splitlines()) == 2
  # MuJoCo and OpenGL leave no files.
  assert [path.name for path in tmp_path.iterdir()] == ['a.gif']
  frames = _pictures(tmp_path / 'a.gif')
  assert frames.shape == (7, 240 + 84, 644, 3)
  pictures = frames[:, 84:].astype(int)
  # The floor is chequered, the sky is grey, the body brown.
  assert pictures.std() > 30
  brown = (pictures[..., 0] - pictures[..., 2]) > 60
  assert (brown.sum(axis=(1, 2)) > 300).all()
  assert (pictures[0] != pictures[-1]).mean() > 0.02


def test_a_process_without_opengl_says_what_to_install(cheetah, tmp_path):
  # PyOpenGL then refuses both of the libraries that need no display.
  done = _run(
    f'--root_dir={cheetah}',
    '--out=a.gif',
    cwd=tmp_path,
    PYOPENGL_PLATFORM='glx',
  )
  assert done.returncode == 2
  line = done.stderr.splitlines()[-1]
  assert line == (
    'render: MuJoCo cannot render with egl or osmesa: install the Debian'
    " package libegl1 or libosmesa6, e.g. 'apt install libosmesa6'"
  )
  assert 'Traceback' not in done.stderr
  assert not list(tmp_path.iterdir())


def test_the_seed_draws_the_task_and_the_video_is_put_into_the_run(
  points, capfd
):
  lines = []
  for seed in (0, 3):
    assert _main(root_dir=points, seed=seed, width=32, height=32) == 0
    lines.append(capfd.readouterr().err.splitlines()[0])
  path = pathlib.Path(points, 'adaptation.gif')
  assert _pictures(path).shape == (7, 68, 68, 3)
  assert lines[0] != lines[1]
  # TensorBoard shows the second, which has replaced the first.
  (shown,) = tensorboard_reader.images(f'{points}/films', 'adaptation')
  assert shown == (1, path.read_bytes())
  path.unlink()
  shutil.rmtree(f'{points}/films')


@pytest.mark.parametrize(
  ('values', 'message'),
  [
    ({'root_dir': None}, '--root_dir is missing'),
    ({'root_dir': 'nowhere'}, 'nowhere holds no run'),
    ({'task': 'up'}, "--task is 'up': give 2 numbers with commas between"),
    ({'task': '1'}, "--task is '1': give 2 numbers with commas between"),
    ({'task': 'train:1'}, 'PointNavigation has no finite list of tasks'),
    ({'task': '1,nan'}, 'tasks must be finite numbers'),
    ({'seed': -1}, 'seed is -1: give an integer of at least 0'),
    ({'width': 3}, 'width is 3: give an integer of at least 16'),
    ({'height': 0}, 'height is 0'),
    ({'fps': -1.0}, 'fps is -1.0'),
    ({'episodes': 0}, 'episodes is 0'),
    ({'num_adaptation_steps': -1}, 'num_adaptation_steps is -1'),
    ({'num_adaptation_steps': 10**8}, 'give an integer of at most 100000'),
    ({'episodes': 10**9}, 'steps each need at least'),
    ({'width': 10**6}, 'width is 1000000: give an integer of at most 8192'),
    ({'fps': 1e-9}, 'fps is 1e-09: give a finite number of at least 0.002'),
    ({'out': 'a.avi'}, 'a.avi is not a video'),
    ({'out': '.'}, '. is a folder: give the name of a file'),
    ({'out': 'nowhere/a.gif'}, 'nowhere is not a folder'),
  ],
)
def test_bad_input_is_one_line(points, values, message, capfd):
  assert _main(**{'root_dir': points, **values}) == 2
  out, err = capfd.readouterr()
  assert out == ''
  assert err.startswith('render: ') and err.count('\n') == 1
  assert message in err


@pytest.mark.parametrize(
  'values', [{'out': 'a.avi'}, {'fps': 1e-9}, {'out': '.'}, {'width': 10**6}]
)
def test_wrong_flags_are_found_before_the_run_is_loaded(
  points, values, monkeypatch, capfd
):
  monkeypatch.setattr(trained_run, 'load', _must_not_run)
  assert _main(**{'root_dir': points, **values}) == 2
  assert capfd.readouterr().err.startswith('render: ')


def test_a_task_that_cannot_be_drawn_is_found_before_it_adapts(
  points, monkeypatch, capfd
):
  def fail(*_):
    raise errors.UsageError('this goal cannot be drawn')

  monkeypatch.setattr(point_renderer, 'PointRenderer', fail)
  monkeypatch.setattr(task_adaptation, 'adapt', _must_not_run)
  assert _main(root_dir=points) == 2
  assert capfd.readouterr().err == 'render: this goal cannot be drawn\n'


def _must_not_run(*_, **__):
  raise AssertionError('it has run')


def test_an_argument_that_is_not_a_flag(capfd):
  assert _main('-1', root_dir='run') == 2
  assert capfd.readouterr().err == 'render: -1 is not a flag: see --help\n'
