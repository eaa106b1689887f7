"""The example's logger gets a run's numbers, as its docstring says."""

import csv
import json
import math
import pathlib
import re
import textwrap

import gin
import pytest

from examples import custom_logger
from tests import command_lines

_EXAMPLES = pathlib.Path(custom_logger.__file__).parent

_TINY = (
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'train_eval.export_saved_model = False',
  'create_actor_network.fc_layer_params = (4,)',
  'GradientUpdate.num_steps = 1',
)
_EVALUATED = (
  'train_eval.evaluation_interval = 2',
  'Evaluator.num_tasks = 2',
  'Evaluator.episodes_per_task = 2',
)


@pytest.fixture(name='gin_file')
def write_gin_file(tmp_path):
  """The lines of the docstring, as a file."""
  blocks = re.findall(r'(?:\n    .*|\n(?=\n    ))+', custom_logger.__doc__)
  (lines,) = (block for block in blocks if 'train_eval.loggers' in block)
  # The module is registered with gin already, under its name in the tests.
  lines = lines.replace('import custom_logger', 'import examples.custom_logger')
  path = tmp_path / 'json.gin'
  path.write_text(textwrap.dedent(lines), encoding='utf-8')
  return str(path)


def _train(root_dir, gin_files, *bindings):
  gin.clear_config()
  return command_lines.call(
    'train',
    gin_file=['point.gin', *gin_files],
    gin_bindings=[*_TINY, *bindings],
    root_dir=str(root_dir),
  )


def _rows(root_dir):
  with open(root_dir / 'metrics.csv', encoding='utf-8') as file:
    return [
      {name: float(value) for name, value in row.items()}
      for row in csv.DictReader(file)
    ]


def _logged(root_dir):
  with open(root_dir / 'metrics.jsonl', encoding='utf-8') as file:
    return [json.loads(line) for line in file]


def test_it_gets_metrics_and_evaluations_of_a_run_that_resumes(
  gin_file, tmp_path
):
  root_dir = tmp_path / 'run'
  # A run may change its loggers when it resumes.
  assert _train(root_dir, [], 'train_eval.num_iterations = 1') == 0
  assert not (root_dir / 'metrics.jsonl').exists()
  num_iterations = 'train_eval.num_iterations = 3'
  assert _train(root_dir, [gin_file], num_iterations, *_EVALUATED) == 0
  second, evaluation, third = _logged(root_dir)
  rows = _rows(root_dir)
  assert [second, third] == [{'step': i, **rows[i - 1]} for i in (2, 3)]
  with open(root_dir / 'evaluations.csv', encoding='utf-8') as file:
    statistics = list(csv.DictReader(file))
  assert evaluation.pop('step') == 2
  assert evaluation.pop('env_steps') == rows[1]['env_steps']
  for step, row in enumerate(statistics):
    for name, value in row.items():
      if name not in ('iteration', 'env_steps', 'step'):
        logged = evaluation.pop(f'evaluation/{name}_step_{step}')
        assert repr(logged) == value
  assert not evaluation
  config = (root_dir / 'config.gin').read_text(encoding='utf-8')
  assert 'train_eval.loggers = [@JsonLogger]\n' in config
  # Its own settings are recorded, and may change like the loggers.
  assert 'JsonLogger.name = ' in config
  more = 'train_eval.num_iterations = 4'
  other = "JsonLogger.name = 'other.jsonl'"
  assert _train(root_dir, [gin_file], more, other, *_EVALUATED) == 0


def test_it_writes_no_nan(tmp_path):
  logger = custom_logger.JsonLogger(str(tmp_path), 1)
  logger.write(8, {'meta_loss': math.nan, 'kl': 0.5})
  logger.close()
  assert _logged(tmp_path) == [{'step': 8, 'meta_loss': None, 'kl': 0.5}]


def test_the_logger_takes_ten_lines():
  source = pathlib.Path(custom_logger.__file__).read_text(encoding='utf-8')
  text = source.split('class JsonLogger')[1]
  lines = [line.strip() for line in text.splitlines()[2:]]
  code = [line for line in lines if line and not line.startswith('#')]
  assert len(code) <= 12
