"""Logs a run to Weights & Biases: settings, numbers, pictures and films.

    pip install wandb
    cd examples
    WANDB_MODE=offline python -m maml_tf.train --gin_file=point.gin \\
      --gin_file=wandb_logger.gin --root_dir=../runs/point

`wandb_logger.gin` beside this file adds the logger to a run. Without
WANDB_MODE=offline, log in first by `wandb login`; what a run logged offline is
sent by `wandb sync ../runs/point/wandb/offline-run-*`. What `maml_tf.evaluate`
and `maml_tf.render` draw later in the run's folder is added by

    python wandb_logger.py --root_dir=../runs/point

The settings are those of config.gin. A run that resumes goes on in the same
W&B run, whose id is in wandb_run_id.txt in its folder. That needs the server:
offline, each start logs a part of its own under the same id.
"""

import argparse
import os
import uuid

import gin
import wandb

from maml_tf.run import hyper_parameters


@gin.configurable(denylist=['root_dir', 'first_iteration'])
class WandbLogger:
  """Logs to the W&B run of the folder."""

  def __init__(self, root_dir, first_iteration=1, project='maml_tf'):
    # Training that resumes logs its iterations from first_iteration on again,
    # with the same numbers: W&B ignores the steps that it has.
    del first_iteration
    self._root_dir = root_dir
    self._run = wandb.init(
      project=project,
      id=_run_id(root_dir),
      name=os.path.basename(os.path.abspath(root_dir)),
      dir=root_dir,
      config=hyper_parameters.read(root_dir),
      resume='allow',
      # A run may be resumed for more iterations.
      allow_val_change=True,
    )

  def write(self, step, scalars):
    self._run.log(dict(scalars), step=step)

  def close(self):
    self.log_pictures()
    self._run.finish()

  def log_pictures(self):
    """Logs the pictures and films that are in the run's folder."""
    pictures = {
      os.path.basename(path): wandb.Video(path, format='gif')
      if path.endswith('.gif')
      else wandb.Image(path)
      for path in _pictures(self._root_dir)
    }
    if pictures:
      self._run.log(pictures)


def _run_id(root_dir):
  """Returns the id in a run's folder, where a new run gets one.

  Two folders may have the same name: their runs are two.
  """
  path = os.path.join(root_dir, 'wandb_run_id.txt')
  try:
    with open(path, encoding='utf-8') as file:
      return file.read()
  except FileNotFoundError:
    run_id = uuid.uuid4().hex
    with open(path, 'w', encoding='utf-8') as file:
      file.write(run_id)
    return run_id


def _pictures(root_dir):
  """Returns the paths of the pictures and films in a run's folder."""
  names = sorted(os.listdir(root_dir))
  return [
    os.path.join(root_dir, n) for n in names if n.endswith(('.png', '.gif'))
  ]


def main():
  parser = argparse.ArgumentParser(description='Adds pictures to a W&B run.')
  parser.add_argument('--root_dir', required=True, help='the run')
  parser.add_argument('--project', default='maml_tf')
  flags = parser.parse_args()
  if not os.path.isfile(os.path.join(flags.root_dir, 'config.gin')):
    parser.error(f'{flags.root_dir} holds no run: config.gin is missing')
  WandbLogger(flags.root_dir, project=flags.project).close()


if __name__ == '__main__':
  main()
