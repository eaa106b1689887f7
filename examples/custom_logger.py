"""A logger of your own: a run's numbers as lines of JSON.

Put these lines into a file of your own, say json.gin, beside this one:

    import custom_logger

    train_eval.loggers = [@JsonLogger]
    JsonLogger.name = 'metrics.jsonl'

and name it after the experiment's file:

    cd examples
    python -m maml_tf.train --gin_file=point.gin --gin_file=json.gin

A logger is any object with `write(step, scalars)` and `close()`; see `Logger`
in maml_tf/run/loggers.py. A run may change its loggers when it resumes.
Commands that load the run later, such as maml_tf.evaluate, import this file.
wandb_logger.py and mlflow_logger.py log to Weights & Biases and to MLflow.
"""

import json
import math
import os

import gin


@gin.configurable(denylist=['root_dir', 'first_iteration'])
class JsonLogger:
  """Appends a line for each iteration, and one for each evaluation."""

  def __init__(self, root_dir, first_iteration, name='metrics.jsonl'):
    # Training that resumes logs its iterations from first_iteration on again,
    # with the same numbers: whoever reads takes the last line of a step.
    del first_iteration
    self._file = open(os.path.join(root_dir, name), 'a', encoding='utf-8')

  def write(self, step, scalars):
    # JSON has no NaN.
    numbers = {n: None if math.isnan(v) else v for n, v in scalars.items()}
    self._file.write(json.dumps({'step': step, **numbers}) + '\n')
    self._file.flush()

  def close(self):
    self._file.close()
