"""Trained policies act, adapt, and serve every command that reads a run."""

import os
import pathlib
import re

import numpy as np
import pytest
from tf_agents.utils import common

import maml_tf
from maml_tf.commands import chosen_task
from maml_tf.core import shipped_policies
from maml_tf.run import references
from maml_tf.run import trained_run
from tests import command_lines


@pytest.fixture(name='unwritten', autouse=True)
def package_data_unwritten(tmp_path, monkeypatch):
  """Runs a test in a folder of its own; the package's stays as it is."""
  monkeypatch.chdir(tmp_path)
  before = _state()
  yield
  assert _state() == before


def _state():
  """The files of all policies, and when they were written."""
  folder = pathlib.Path(shipped_policies.folder('point')).parent
  return {
    str(path): path.stat().st_mtime_ns
    for path in folder.rglob('*')
    if '__pycache__' not in path.parts
  }


@pytest.fixture(name='cheetah', scope='module')
def cheetah_policy():
  return maml_tf.load_policy('cheetah_direction')


def test_it_acts_and_adapts(cheetah):
  adaptation = cheetah.adapt(task=-1, episodes_per_step=10)
  # On the stack that trained it, -199 and 478 from 20 episodes.
  before, after = adaptation.returns.mean(axis=1)
  assert before < -100 and after > 300
  environment = cheetah.create_environment(-1)
  time_step = environment.reset()
  act = common.function(adaptation.policy.action)
  state = adaptation.policy.get_initial_state(1)
  total = 0.0
  for _ in range(100):
    time_step = environment.step(act(time_step, state).action.numpy())
    total += time_step.reward[0]
  assert total > 200


def test_adapt_takes_the_policy_its_run_and_its_folder(cheetah):
  environment = cheetah.create_environment(1, 2)
  returns = []
  for source in (cheetah, cheetah.run, cheetah.agent, cheetah.root_dir):
    seen = []
    adaptation = maml_tf.adapt(
      source,
      environment,
      num_steps=0,
      episodes_per_step=2,
      observers=[lambda *arguments, seen=seen: seen.append(arguments)],
    )
    assert [stage for stage, _ in seen] == [0]
    np.testing.assert_array_equal([r for _, r in seen], adaptation.returns)
    returns.append(adaptation.returns)
  assert all((r == returns[0]).all() for r in returns)


def test_bad_names_and_tasks_are_one_line(cheetah):
  with pytest.raises(ValueError, match='did you mean point[?]'):
    maml_tf.load_policy('pointt')
  with pytest.raises(ValueError, match='are not directions: give [+]1 or -1'):
    cheetah.adapt(task=0.5)
  with pytest.raises(ValueError, match="--task is 'up': give 1 number$"):
    chosen_task.find(cheetah.run, 'up', 0)


@pytest.mark.parametrize('name', shipped_policies.names())
def test_it_is_the_run_that_its_facts_describe(name):
  run = trained_run.load(shipped_policies.folder(name))
  facts = shipped_policies.facts(name)
  assert run.iteration == facts.iteration
  environment = run.create_environment(1, 1)
  action = run.agent.policy.action(
    environment.reset(), run.agent.policy.get_initial_state(1)
  ).action
  assert np.isfinite(action).all()
  numbers = [float(word) for word in facts.example_task.split(',')]
  environment.set_tasks([np.reshape(numbers, np.shape(environment.tasks[0]))])
  environment.close()


def test_adapted_parameters_are_shown_and_exported(capfd):
  code = command_lines.call(
    'adapt',
    policy='cheetah_direction',
    task='-1',
    # As many as in training: the gradient of a few may lead the other way.
    episodes=20,
    out='phi.npz',
  )
  out, err = capfd.readouterr()
  assert code == 0, err
  first, second = err.splitlines()
  assert first == (
    'adapt: task -1: runs backward; each step learns from 20 episodes of'
    ' 100 steps'
  )
  before, after = (line.rsplit(maxsplit=1) for line in out.splitlines())
  assert before[0].split() == ['before', 'adaptation', 'return']
  assert after[0].split() == ['after', '1', 'step', 'return']
  assert float(before[1]) < float(after[1])
  assert second.endswith(
    'export --policy=cheetah_direction --state=phi.npz --export_dir=DIR'
  )
  code = command_lines.call(
    'export',
    policy='cheetah_direction',
    state='phi.npz',
    export_dir='model',
  )
  assert code == 0
  line = 'export: model acts for one task, after 1250 iterations'
  assert capfd.readouterr().err.startswith(line)


def test_output_goes_to_the_current_folder(capfd):
  code = command_lines.call(
    'evaluate',
    policy='cheetah_velocity',
    num_tasks=1,
    episodes=1,
    num_adaptation_steps=0,
  )
  err = capfd.readouterr().err
  assert code == 0, err
  assert err.endswith(
    'wrote evaluation.json, evaluation.csv, evaluation.png to the current'
    ' folder\n'
  )
  assert sorted(os.listdir()) == [
    'evaluation.csv',
    'evaluation.json',
    'evaluation.png',
  ]


@pytest.mark.slow
def test_the_program_of_the_documents_runs(capsys):
  page = pathlib.Path(__file__).parents[2] / 'docs' / 'commands.md'
  (program,) = re.findall(r'(?s)```python\n(.*?)```', page.read_text())
  exec(program, {})
  means, total = capsys.readouterr().out.splitlines()
  assert re.fullmatch(r'\[-\d+\.\d+ +\d+\.\d+\]', means)
  assert float(total) > 200


@pytest.mark.slow
def test_a_policy_is_rendered(capfd):
  assert command_lines.call('render', policy='point', task='0.3,-0.2') == 0
  assert 'frames to adaptation.gif\n' in capfd.readouterr().err
  assert os.listdir() == ['adaptation.gif']


def test_adaptation_is_filmed(capfd):
  code = command_lines.call(
    'adapt',
    policy='point',
    task='0.3,-0.2',
    episodes=1,
    num_adaptation_steps=0,
    film='goal.gif',
  )
  out, err = capfd.readouterr()
  assert code == 0, err
  assert len(out.splitlines()) == 1
  assert err.endswith(' frames to goal.gif\n')
  assert os.listdir() == ['goal.gif']


def test_references_are_trained_elsewhere(cheetah):
  lines = references.describe_missing(cheetah.root_dir, {}, cheetah.run)
  assert len(lines) == 2
  for name, line in zip(('oracle', 'pretrained'), lines):
    assert f'--gin_file={cheetah.root_dir}/config.gin' in line
    assert line.endswith(f'--root_dir=runs/cheetah_direction/{name}')
  lines = references.describe_missing(cheetah.root_dir, {}, cheetah.run, 'Run')
  assert all('; to train it: Run --gin_file=' in line for line in lines)


@pytest.mark.parametrize('ending', ['', os.sep])
def test_references_are_found_where_they_are_trained(cheetah, ending):
  folder = cheetah.root_dir + ending
  assert not references.find(folder, {})
  oracle = pathlib.Path('runs/cheetah_direction/oracle')
  oracle.mkdir(parents=True)
  (oracle / 'config.gin').touch()
  assert references.find(folder, {}) == {'oracle': str(oracle)}
  assert references.find(folder, {'oracle': 'x'}) == {'oracle': 'x'}


@pytest.mark.parametrize('name', ['adapt', 'evaluate', 'render'])
@pytest.mark.parametrize(
  ('values', 'line'),
  [
    ({}, '--root_dir is missing: give the folder of a training run, or --pol'),
    ({'policy': 'pont'}, "'pont' is not a trained policy: did you mean point?"),
    ({'policy': 'point', 'root_dir': 'x'}, 'exclude each other: give one'),
  ],
)
def test_a_bad_choice_is_one_line(name, values, line, capfd):
  assert command_lines.call(name, **values) == 2
  out, err = capfd.readouterr()
  assert (out, err.count('\n')) == ('', 1)
  assert err.startswith(f'{name}: ') and line in err


@pytest.mark.parametrize(
  ('values', 'line'),
  [
    ({'out': 'goal.txt'}, '--out is goal.txt: give a name that ends in .npz'),
    ({'out': 'no/goal.npz'}, 'no is not a folder'),
    ({'film': 'goal.avi'}, 'goal.avi is not a video'),
    ({'episodes': 0}, 'episodes is 0'),
    ({'episodes': 10**10}, 'episodes is 10000000000: give an integer of at m'),
    ({'num_adaptation_steps': -1}, 'num_adaptation_steps is -1: give an inte'),
    ({'step_size': 0.0}, 'step_size is 0'),
    ({'max_kl': -1.0}, 'max_kl is -1'),
    ({'seed': -1}, 'seed is -1'),
  ],
)
def test_bad_flags_of_adapt_are_one_line(values, line, monkeypatch, capfd):
  monkeypatch.setattr(trained_run, 'load_for_process', _must_not_run)
  assert command_lines.call('adapt', **{'policy': 'point', **values}) == 2
  out, err = capfd.readouterr()
  assert (out, err.count('\n')) == ('', 1)
  assert err.startswith('adapt: ') and line in err
  assert os.listdir() == []


def _must_not_run(*_):
  raise AssertionError('it has run')


def test_a_task_of_another_size_is_one_line(capfd):
  assert command_lines.call('adapt', policy='point', task='1,2,3') == 2
  assert capfd.readouterr() == (
    '',
    "adapt: --task is '1,2,3': give 2 numbers with commas between them, or"
    ' held_out:0\n',
  )


def test_a_policy_of_the_package_is_not_trained_further(capfd):
  folder = shipped_policies.folder('point')
  code = command_lines.call(
    'train', gin_file=[f'{folder}/config.gin'], root_dir=folder
  )
  assert code == 2
  assert 'is a trained policy of the package, which is only read: copy it' in (
    capfd.readouterr().err
  )
