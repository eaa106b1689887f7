"""A logger of your own: a run's numbers in Weights & Biases.

Put these lines into a file of your own, say wandb.gin, beside this one:

    import custom_logger

    train_eval.loggers = [@WandbLogger]
    WandbLogger.project = 'maml'

and name it after the experiment's file:

    cd examples
    python -m maml_tf.train --gin_file=point.gin --gin_file=wandb.gin

A logger is any object with `write(step, scalars)` and `close()`; see `Logger`
in maml_tf/run/loggers.py. A run may change its loggers when it resumes.
Commands that load the run later, such as maml_tf.evaluate, import this file.

Without `wandb` (pip install wandb) the stand-in below appends the numbers to
wandb.jsonl in the run's folder.
"""

import json
import os

import gin

try:
  import wandb
except ImportError:
  wandb = None


@gin.configurable(denylist=['root_dir', 'first_iteration'])
class WandbLogger:
  """Logs to the W&B run with the folder's name, also after resuming."""

  def __init__(self, root_dir, first_iteration, project='maml_tf'):
    # Training that resumes logs its iterations from first_iteration on again,
    # with the same numbers: W&B ignores the steps that it has.
    del first_iteration
    self._run = (wandb or _StandIn).init(
      project=project,
      id=os.path.basename(os.path.abspath(root_dir)),
      dir=root_dir,
      resume='allow',
    )

  def write(self, step, scalars):
    self._run.log(dict(scalars), step=step)

  def close(self):
    self._run.finish()


class _StandIn:
  """A run with those methods of `wandb` that the logger calls."""

  @classmethod
  def init(cls, project, id, dir, resume):
    del project, id, resume
    return cls(os.path.join(dir, 'wandb.jsonl'))

  def __init__(self, path):
    self._file = open(path, 'a', encoding='utf-8')

  def log(self, data, step):
    self._file.write(json.dumps({'step': step, **data}) + '\n')
    self._file.flush()

  def finish(self):
    self._file.close()
