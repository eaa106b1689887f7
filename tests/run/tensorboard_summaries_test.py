"""TensorBoard's own reader finds a run's settings once, and its films."""

import io

import numpy as np
from PIL import Image
import pytest

from maml_tf.run import hyper_parameters
from maml_tf.run import loggers
from maml_tf.run import tensorboard_summaries
from tests import tensorboard_reader

_CONFIG = """import maml_tf.run.experiment

# Parameters for train_eval:
train_eval.environment_class = @PointNavigation
train_eval.num_iterations = 3
InnerLoop.step_size = 0.5
InnerLoop.first_order = False
InnerLoop.max_gradient_norm = None
names_match.pattern = 'context'
create_actor_network.fc_layer_params = \\
    (64, 64)
"""


def test_settings_are_written_once(tmp_path):
  (tmp_path / 'config.gin').write_text(_CONFIG)
  # The second one resumes, perhaps before the first checkpoint.
  for step in (1, 2):
    logger = loggers.TensorBoardLogger(str(tmp_path))
    logger.write(step, {'meta_loss': 0.5})
    logger.close()
  assert tensorboard_reader.hyper_parameters(tmp_path) == [
    {
      'train_eval.environment_class': '@PointNavigation',
      'train_eval.num_iterations': 3.0,
      'InnerLoop.step_size': 0.5,
      'InnerLoop.first_order': False,
      'InnerLoop.max_gradient_norm': 'None',
      'names_match.pattern': 'context',
      'create_actor_network.fc_layer_params': '(64, 64)',
    }
  ]


def test_without_a_config_there_are_no_settings(tmp_path):
  loggers.TensorBoardLogger(str(tmp_path)).close()
  assert tensorboard_reader.hyper_parameters(tmp_path) == []


@pytest.mark.parametrize(
  ('value', 'expected'),
  [
    ('3', 3),
    ('1e-3', 1e-3),
    ('True', True),
    ("'a b'", 'a b'),
    ('None', 'None'),
    ('(1, 2)', '(1, 2)'),
    ('@Adam()', '@Adam()'),
    ('%step', '%step'),
  ],
)
def test_values_have_their_types(value, expected):
  found = hyper_parameters.of_text(value)
  assert found == expected and type(found) is type(expected)


def _gif(path, shade):
  pictures = [np.full((6, 8, 3), shade + i, np.uint8) for i in (0, 100)]
  first, second = map(Image.fromarray, pictures)
  first.save(path, save_all=True, append_images=[second], duration=50, loop=0)
  return path.read_bytes()


def test_a_film_replaces_the_one_of_its_name(tmp_path):
  assert not tensorboard_summaries.has_events(str(tmp_path))
  _gif(tmp_path / 'a.gif', 0)
  tensorboard_summaries.write_film(str(tmp_path), str(tmp_path / 'a.gif'), 5)
  second = _gif(tmp_path / 'a.gif', 100)
  other = _gif(tmp_path / 'b.gif', 50)
  tensorboard_summaries.write_film(str(tmp_path), str(tmp_path / 'a.gif'), 7)
  tensorboard_summaries.write_film(str(tmp_path), str(tmp_path / 'b.gif'), 7)
  films = str(tmp_path / 'films')
  assert tensorboard_reader.images(films, 'a') == [(7, second)]
  assert tensorboard_reader.images(films, 'b') == [(7, other)]
  with Image.open(io.BytesIO(second)) as image:
    assert image.n_frames == 2
  # Names that end alike are of different films.
  third = _gif(tmp_path / 'x.a.gif', 20)
  for name in ('x.a', 'a', 'x.a', 'a'):
    path = str(tmp_path / f'{name}.gif')
    tensorboard_summaries.write_film(str(tmp_path), path, 7)
  assert tensorboard_reader.images(films, 'a') == [(7, second)]
  assert tensorboard_reader.images(films, 'x.a') == [(7, third)]
  assert len(list((tmp_path / 'films').iterdir())) == 3
  # They are not among the run's own events.
  assert not tensorboard_summaries.has_events(str(tmp_path))
