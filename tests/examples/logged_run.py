"""Tiny runs of the point with a logger of the examples, for its tests."""

import csv
import pathlib

import gin
import numpy as np
from PIL import Image

from tests import command_lines

EXAMPLES = pathlib.Path(__file__).parents[2] / 'examples'

_TINY = (
  'train_eval.num_tasks = 2',
  'train_eval.episodes_per_task = 2',
  'train_eval.horizon = 5',
  'train_eval.export_saved_model = False',
  'create_actor_network.fc_layer_params = (4,)',
  'GradientUpdate.num_steps = 1',
  'train_eval.evaluation_interval = 2',
  'Evaluator.num_tasks = 2',
  'Evaluator.episodes_per_task = 2',
)


def train(root_dir, name, num_iterations, *bindings):
  """Trains with `examples/<name>.gin`, in the folder where the test is."""
  gin.clear_config()
  code = command_lines.call(
    'train',
    gin_file=['point.gin', str(EXAMPLES / f'{name}.gin')],
    gin_bindings=[
      *_TINY,
      *bindings,
      f'train_eval.num_iterations = {num_iterations}',
    ],
    root_dir=str(root_dir),
  )
  gin.clear_config()
  assert code == 0


def draw(root_dir):
  """Writes a picture and a film of two frames into the run's folder."""
  dark, light = (
    Image.fromarray(np.full((16, 16, 3), shade, np.uint8)) for shade in (0, 255)
  )
  dark.save(root_dir / 'evaluation.png')
  dark.save(root_dir / 'adaptation.gif', save_all=True, append_images=[light])


def rows(root_dir):
  """Returns the rows of metrics.csv as numbers."""
  with open(root_dir / 'metrics.csv', encoding='utf-8') as file:
    return [
      {name: float(value) for name, value in row.items()}
      for row in csv.DictReader(file)
    ]
