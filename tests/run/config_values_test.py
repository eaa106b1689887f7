"""gin records numbers of NumPy whichever NumPy it is."""

import gin
import numpy as np
import pytest

from maml_tf.run import config_values

_MASS, _PARTS = np.sqrt(0.0625), (np.int64(2),)


@gin.configurable(module='config_values_test')
def throw_ball(mass=_MASS, angle=1.0, parts=_PARTS):
  """Has defaults that are computed."""
  return mass, angle, parts


@pytest.fixture(autouse=True)
def clear_config():
  gin.clear_config()
  yield
  gin.clear_config()


def test_numbers_of_numpy_are_recorded():
  gin.bind_parameter('throw_ball.angle', np.sqrt(0.25))
  assert throw_ball() == (0.25, 0.5, (2,))
  recorded = config_values.of_text(gin.operative_config_str())
  assert recorded == {
    'throw_ball.mass': '0.25',
    'throw_ball.angle': '0.5',
    'throw_ball.parts': '(2,)',
  }
  bound = config_values.of_text(gin.config_str())
  assert bound == {'throw_ball.angle': '0.5'}


def test_defaults_that_are_numbers_of_numpy_are_compared():
  assert config_values.is_same('throw_ball.mass', None, '0.25')
  assert not config_values.is_same('throw_ball.mass', None, '0.5')
  assert config_values.is_same('throw_ball.parts', None, '(2,)')


@pytest.mark.parametrize(
  ('name', 'former', 'other'),
  [
    ('MamlAgent.task_chunk_size', '1', '2'),
    ('MamlAgent.task_chunk_size', '1', "'all'"),
    ('MamlAgent.jit_compile', 'False', 'True'),
  ],
)
def test_what_none_decides_on_a_cpu_is_the_same_setting(name, former, other):
  for there, here in ((former, 'None'), ('None', former), ('None', 'None')):
    assert config_values.is_same(name, there, here)
  for there, here in ((other, 'None'), ('None', other), (former, other)):
    assert not config_values.is_same(name, there, here)


def test_none_was_all_tasks_in_records_of_older_versions():
  chunk = 'MamlAgent.task_chunk_size'
  for text, expected in (
    (f'{chunk} = None', "'all'"),
    (f'{chunk} = None\nMamlAgent.allow_tf32 = False', 'None'),
    (f'{chunk} = 4', '4'),
  ):
    assert config_values.of_record(text)[chunk] == expected
  assert chunk not in config_values.of_record('train_eval.seed = 0')
