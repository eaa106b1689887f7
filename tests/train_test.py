"""The command line of training: output, exit codes and files."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys

import gin
import pytest

import maml_tf
from maml_tf.core import shipped_configs
from tests import command_lines
from tests.environments import eventful_navigation

TINY = (
  'train_eval.num_iterations = 2',
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'create_actor_network.fc_layer_params = (8,)',
  'GradientUpdate.num_steps = 1',
  'train_eval.export_saved_model = False',
)

# The lines that training prints without a terminal.
LINES = (
  r'train: on \d+ CPU cores?',
  r'The run is in .+',
  r'compiling \.\.\.',
  r'iteration \d+/\d+  return \S+ -> \S+  [\d,]+ env steps/s  \S+ left',
  r'train: .+',
)
INTERRUPTED_LINES = (*LINES, '', 'Stopping, and saving. .+')


@pytest.fixture(autouse=True)
def somewhere_else(tmp_path, monkeypatch):
  """Runs each test in an empty folder."""
  monkeypatch.chdir(tmp_path)


def _main(
  *bindings, gin_file=('point.gin',), root_dir='run', first=TINY, argv=()
):
  """Calls `main` with flags, in this process; returns the exit code."""
  return command_lines.call(
    'train',
    argv,
    gin_file=list(gin_file),
    gin_bindings=[*first, *bindings],
    root_dir=root_dir,
  )


def _one_line(capfd):
  """Returns the printed error, which must be one line on stderr."""
  out, err = capfd.readouterr()
  assert out == ''
  assert err.startswith('train: ')
  assert err.count('\n') == 1 and err.endswith('\n'), err
  return err


def _files():
  return sorted(str(path) for path in pathlib.Path().rglob('*'))


def test_a_gin_file_that_does_not_exist(capfd):
  assert _main(gin_file=['cheeta.gin']) == 2
  line = _one_line(capfd)
  assert 'cheeta.gin does not exist' in line
  groups = shipped_configs.groups()
  for name in (*groups.experiments, *groups.algorithms):
    assert name in line
  assert not _files()


def test_no_gin_file_at_all(capfd):
  assert _main(gin_file=[], first=()) == 2
  line = _one_line(capfd)
  assert 'environment_class' in line
  assert 'point.gin' in line
  assert not _files()


def test_an_algorithm_alone(capfd):
  assert _main(gin_file=['promp.gin'], first=()) == 2
  line = _one_line(capfd)
  assert 'name an experiment before it' in line
  assert '--gin_file=point.gin --gin_file=promp.gin' in line
  assert not _files()


def test_an_argument_that_is_not_a_flag(capfd):
  assert _main(argv=['point.gin']) == 2
  assert 'point.gin is not a flag' in _one_line(capfd)
  assert not _files()


@pytest.mark.parametrize(
  ('binding', 'named'),
  [
    # Names.
    ('MamlAgent.inner_step_sise = 0.1', 'inner_step_sise'),
    ('InnerLop.step_size = 0.1', 'InnerLop'),
    ('train_eval.root_dir = "elsewhere"', 'root_dir'),
    ('train_eval.environment_class = @PointNavigatoin', 'PointNavigatoin'),
    # No gin at all.
    ('InnerLoop.step_size', ''),
    ('InnerLoop.step_size = ', ''),
    ('InnerLoop.step_size = nan', ''),
    ('import maml_tf.environments.bee', 'maml_tf.environments.bee'),
    # Wrong types.
    ("InnerLoop.step_size = 'a'", "step_size is 'a'"),
    ("train_eval.num_tasks = 'x'", "num_tasks is 'x'"),
    ('train_eval.num_tasks = 2.5', 'num_tasks is 2.5'),
    ('train_eval.num_tasks = True', 'num_tasks is True'),
    ('train_eval.horizon = None', 'horizon is None'),
    ('train_eval.environment_class = None', 'environment_class'),
    ('train_eval.environment_class = 3', ''),
    ('create_actor_network.fc_layer_params = 8', ''),
    ("LinearFeatureBaseline.ridge = 'x'", 'ridge'),
    ("tf.keras.optimizers.Adam.learning_rate = 'a'", ''),
    # Impossible sizes.
    ('train_eval.num_tasks = 0', 'num_tasks is 0'),
    ('train_eval.episodes_per_task = 0', 'episodes_per_task is 0'),
    ('train_eval.horizon = 0', 'horizon is 0'),
    ('train_eval.horizon = -1', 'horizon is -1'),
    ('train_eval.num_iterations = 0', 'num_iterations is 0'),
    ('train_eval.checkpoint_interval = 0', 'checkpoint_interval is 0'),
    ('train_eval.seed = -1', 'seed is -1'),
    ('create_actor_network.fc_layer_params = (0,)', 'fc_layer_params'),
    ('create_actor_network.fc_layer_params = (-8,)', ''),
    ('InnerLoop.num_steps = -1', 'num_steps is -1'),
    ('GradientUpdate.num_steps = 0', 'num_steps is 0'),
    # Impossible numbers; gin reads 1e999 as infinity.
    ('tf.keras.optimizers.Adam.learning_rate = -1e-3', 'learning_rate is -0.0'),
    ('tf.keras.optimizers.Adam.learning_rate = 0', 'learning_rate is 0'),
    ('tf.keras.optimizers.Adam.learning_rate = 1e999', 'learning_rate is inf'),
    ('InnerLoop.step_size = -0.1', 'step_size is -0.1'),
    ('InnerLoop.step_size = 1e999', 'step_size is inf'),
    ('MamlAgent.discount = 1.5', 'discount is 1.5'),
    ('create_actor_network.initial_stddev = 0', 'initial_stddev is 0'),
    ('LinearFeatureBaseline.ridge = -1', 'ridge is -1'),
  ],
)
def test_bad_settings_are_one_line(binding, named, capfd, caplog):
  assert _main(binding) == 2
  assert named in _one_line(capfd)
  assert not caplog.records
  assert not _files()


@pytest.mark.parametrize(
  'name', ['tf.keras.optimizers.Adam.learning_rate', 'MamlAgent.discount']
)
def test_nan_that_python_code_bound(name, capfd):
  gin.bind_parameter(name, float('nan'))
  pathlib.Path('mine.gin').write_text(
    'import maml_tf.environments.point_navigation\n'
    'train_eval.environment_class = @PointNavigation\n'
    'MamlAgent.meta_update = @GradientUpdate()\n'
    'GradientUpdate.optimizer = @tf.keras.optimizers.Adam()\n',
    encoding='utf-8',
  )
  assert _main(gin_file=['mine.gin']) == 2
  assert f'{name.rpartition(".")[2]} is nan' in _one_line(capfd)
  assert _files() == ['mine.gin']


def test_a_macro_that_is_infinite(capfd):
  bindings = ('rate = 1e999', 'InnerLoop.step_size = %rate')
  assert _main(*bindings) == 2
  assert 'step_size is inf' in _one_line(capfd)
  assert not _files()


@pytest.mark.parametrize('root_dir', ['file', 'file/run', 'file/run/deeper'])
def test_a_root_dir_that_cannot_be_written(root_dir, capfd):
  pathlib.Path('file').write_text('content', encoding='utf-8')
  assert _main(root_dir=root_dir) == 2
  assert 'file' in _one_line(capfd)
  assert _files() == ['file']
  assert pathlib.Path('file').read_text(encoding='utf-8') == 'content'


def test_a_run_says_where_it_is_and_what_it_reached(capfd):
  assert _main(root_dir=None) == 0
  out, err = capfd.readouterr()
  assert out == ''
  lines = err.splitlines()
  _assert_ours(lines)
  assert re.fullmatch(
    r'train: return on 2 held-out tasks: -?\d+\.\d -> -?\d+\.\d', lines[-1]
  )
  # Without --root_dir: the config's name and the time.
  (root_dir,) = pathlib.Path('runs').iterdir()
  assert re.fullmatch(r'point-\d{8}-\d{6}', root_dir.name)
  assert str(root_dir) in lines[1]

  # The same folder with another config, as a new process would.
  gin.clear_config()
  before = {path: path.stat().st_mtime_ns for path in root_dir.rglob('*')}
  assert _main('InnerLoop.step_size = 0.7', root_dir=str(root_dir)) == 2
  line = _one_line(capfd)
  assert f'{root_dir} holds a run with InnerLoop.step_size = ' in line
  assert 'not 0.7: give another --root_dir or that config' in line
  after = {path: path.stat().st_mtime_ns for path in root_dir.rglob('*')}
  assert after == before


def test_a_reward_that_is_nan_is_exit_code_1(capfd, monkeypatch):
  def turn_rewards_nan(environment):
    environment.reward_scale = float('nan')

  monkeypatch.setattr(
    eventful_navigation.EventfulNavigation, 'events', {2: turn_rewards_nan}
  )
  assert (
    _main(
      'train_eval.environment_class = @EventfulNavigation',
      'train_eval.checkpoint_interval = 1',
    )
    == 1
  )
  lines = capfd.readouterr().err.splitlines()
  _assert_ours(lines)
  assert lines[-1].startswith('train: iteration 2: the reward of task 0, stage')
  assert 'run/checkpoints/ckpt-1.index' in _files()


def _assert_ours(lines, patterns=LINES):
  foreign = [
    line
    for line in lines
    if not any(re.fullmatch(pattern, line) for pattern in patterns)
  ]
  assert not foreign


def _environment():
  """A user's environment variables, with the package on the path."""
  root = str(pathlib.Path(maml_tf.__file__).parents[1])
  inherited = {
    name: value
    for name, value in os.environ.items()
    if name not in ('TF_CPP_MIN_LOG_LEVEL', 'PYTHONWARNINGS')
  }
  # `python` in a printed command is the one that runs this test.
  folder = os.path.dirname(sys.executable)
  return inherited | {
    'PYTHONPATH': root,
    'PATH': os.pathsep.join([folder, os.environ.get('PATH', '')]),
  }


def _start(command):
  return subprocess.Popen(
    shlex.split(command),
    env=_environment(),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )


def test_process_with_bad_input_prints_one_line_and_exits_with_2():
  # It includes a file of the package, as a user's file would.
  pathlib.Path('mine.gin').write_text(
    "include 'point.gin'\ntrain_eval.num_tasks = 0\n", encoding='utf-8'
  )
  process = _start('python -m maml_tf.train --gin_file=mine.gin')
  out, err = process.communicate(timeout=120)
  assert err == 'train: num_tasks is 0: give an integer of at least 1\n'
  assert out == ''
  assert process.returncode == 2
  assert _files() == ['mine.gin']


def test_process_stopped_by_ctrl_c_goes_on_by_the_command_it_prints():
  bindings = [*TINY, 'train_eval.num_iterations = 100']
  # A shell would split this name.
  root_dir = "my run's"
  arguments = [f'--gin_bindings={binding}' for binding in bindings]
  command = shlex.join(
    ['python', '-m', 'maml_tf.train', '--gin_file=point.gin']
    + [*arguments, f'--root_dir={root_dir}']
  )
  process = _start(command)
  lines = []
  for line in process.stderr:
    lines.append(line.rstrip('\n'))
    if line.startswith('iteration 2/'):
      process.send_signal(signal.SIGINT)
      break
  out, err = process.communicate(timeout=120)
  lines += err.splitlines()
  assert process.returncode == 130
  assert out == ''
  _assert_ours(lines, INTERRUPTED_LINES)
  stopped = re.fullmatch(
    r'train: stopped after iteration (\d+); to resume: (.+)', lines[-1]
  )
  assert stopped
  last = int(stopped[1])
  assert 2 <= last < 100
  iterations = [line for line in lines if line.startswith('iteration')]
  assert iterations[-1].startswith(f'iteration {last}/100')

  process = _start(stopped[2])
  out, err = process.communicate(timeout=240)
  assert process.returncode == 0
  assert out == ''
  lines = err.splitlines()
  _assert_ours(lines)
  assert lines[3].startswith(f'iteration {last + 1}/100')
  assert lines[-2].startswith('iteration 100/100')
  metrics = pathlib.Path(root_dir, 'metrics.csv').read_text(encoding='utf-8')
  iterations = [line.split(',')[0] for line in metrics.splitlines()[1:]]
  assert iterations == [str(i) for i in range(1, 101)]
