"""Meta-learning learns: one gradient step gets better at reaching goals."""

import csv

import numpy as np

from maml_tf.run import config as run_config
from maml_tf.run import experiment

# Stated here, so that a better point.gin does not move the thresholds.
SETTINGS = (
  'import maml_tf.environments.point_navigation',
  'train_eval.environment_class = @PointNavigation',
  'train_eval.num_iterations = 20',
  'train_eval.num_tasks = 20',
  'train_eval.episodes_per_task = 10',
  'train_eval.horizon = 100',
  'create_actor_network.fc_layer_params = (32, 32)',
  'create_actor_network.initial_stddev = 1.0',
  'InnerLoop.step_size = 0.5',
  'MamlAgent.meta_update = @GradientUpdate()',
  'GradientUpdate.optimizer = @tf.keras.optimizers.Adam()',
  'GradientUpdate.num_steps = 5',
  'tf.keras.optimizers.Adam.learning_rate = 3e-3',
)


def test_one_gradient_step_finds_the_goal(tmp_path):
  run_config.parse([], SETTINGS)
  held_out = experiment.train_eval(str(tmp_path)).mean(axis=(1, 2))
  with open(tmp_path / 'metrics.csv', encoding='utf-8') as file:
    rows = list(csv.DictReader(file))
  before, after = (
    np.array([float(row[f'return_step_{step}']) for row in rows])
    for step in (0, 1)
  )
  # A policy that stays at the origin gets -38 on average. Measured with two
  # seeds: -71 -> -64 at first, -38 -> -16 in the last five iterations, and
  # -35 -> -13 on held-out tasks.
  assert before[0] < -55
  assert after[-5:].mean() > -24
  assert (after - before)[-5:].mean() > 13
  assert held_out[1] > -24
  assert held_out[1] - held_out[0] > 13
