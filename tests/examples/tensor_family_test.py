"""The family of docs/tensor_tasks.md: checked, stepped by hand, trained."""

import ast
import pathlib
import re

import numpy as np
import pytest

from examples import tensor_family
from maml_tf.environments.in_graph import tensor_environment
from tests import command_lines

_ROOT = pathlib.Path(__file__).parent.parent.parent
_EXAMPLES = _ROOT / 'examples'
_PAGE = (_ROOT / 'docs' / 'tensor_tasks.md').read_text('utf-8')
_BLOCKS = re.findall(r'```python\n(.*?)```', _PAGE, re.DOTALL)


def test_the_documented_family_is_that_of_the_example():
  source = ast.parse((_EXAMPLES / 'tensor_family.py').read_text('utf-8'))
  (family,) = [n for n in source.body if isinstance(n, ast.ClassDef)]
  family.body = family.body[1:]  # Its docstring.
  (documented,) = ast.parse(_BLOCKS[0]).body
  assert ast.unparse(documented) == ast.unparse(family)


@pytest.mark.parametrize('block', [1, 2])
def test_the_documented_code_runs(block, monkeypatch):
  monkeypatch.syspath_prepend(_EXAMPLES)
  exec(_BLOCKS[block], {})


def test_a_step_by_hand():
  environment = tensor_environment.TensorEnvironment(
    2, 1, 9, tensor_family.HoldingHeight
  )
  environment.set_tasks([0.5, -0.5])
  environment.seed(0)
  height, velocity = environment.reset().observation.T
  # Forces of 3, clipped to 1, and -0.5.
  time_step = environment.step(np.array([[3.0], [-0.5]], np.float32))
  velocity = velocity + 0.1 * (5.0 * np.array([1.0, -0.5]) - 2.0 * velocity)
  height = height + 0.1 * velocity
  np.testing.assert_allclose(
    time_step.observation, np.stack([height, velocity], axis=1), atol=1e-6
  )
  np.testing.assert_allclose(
    time_step.reward, -np.abs(height - [0.5, -0.5]), atol=1e-6
  )


@pytest.mark.slow
def test_it_learns(tmp_path, monkeypatch, capfd):
  monkeypatch.syspath_prepend(_EXAMPLES)
  code = command_lines.call(
    'train',
    gin_file=[str(_EXAMPLES / 'tensor_family.gin')],
    gin_bindings=['train_eval.export_saved_model = False'],
    root_dir=str(tmp_path / 'run'),
  )
  lines = capfd.readouterr().err.splitlines()
  assert code == 0, lines
  before, after = map(float, re.findall(r'-\d+\.\d', lines[-1]))
  assert after > before + 3
