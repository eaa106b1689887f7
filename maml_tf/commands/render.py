"""Films a task before and after, as the flags of `maml_tf.render` say."""

import contextlib
import os
from typing import Any

from absl import flags

from maml_tf.adaptation import task_adaptation
from maml_tf.commands import chosen_adaptation
from maml_tf.commands import chosen_run
from maml_tf.commands import chosen_task
from maml_tf.commands import task_film
from maml_tf.core import checks
from maml_tf.core import cpu
from maml_tf.core import errors
from maml_tf.core import finite_checks
from maml_tf.core import terminal
from maml_tf.environments import tasks as tasks_lib
from maml_tf.run import tensorboard_summaries
from maml_tf.run import trained_run
from maml_tf.video import video_file

_FLAGS = flags.FLAGS
# Twice the side of the largest screens, for two pictures side by side.
_MAX_SIDE = 8192


def main(argv):
  """Films, and returns the exit code.

  0: done. 1: the task fails. 2: bad input. 130: stopped.
  """
  del argv  # Its flags are parsed.
  cpu.one_thread_an_operation()
  try:
    with errors.usage_errors():
      root_dir = chosen_run.root_dir()
      path = _FLAGS.out
      if path is None:
        path = chosen_run.output_file('adaptation.gif')
      _check(path, root_dir)
    run = trained_run.load_for_process(root_dir)
    with errors.usage_errors():
      _render(run, path)
  except errors.UsageError as error:
    return terminal.print_error('render', error, debug=_FLAGS.debug)
  except (errors.RunError, finite_checks.NonFiniteError) as error:
    return terminal.print_error('render', error, 1, _FLAGS.debug)
  except KeyboardInterrupt:
    return terminal.print_error('render', 'stopped, nothing is written', 130)
  return 0


def _check(path: str, root_dir: str) -> None:
  """Raises ValueError for flags that are wrong in every run."""
  # Without --out, `trained_run.load` says what is wrong with the folder.
  if _FLAGS.out is not None or os.path.isdir(root_dir):
    video_file.check(path, _FLAGS.fps)
  for name in ('width', 'height'):
    checks.integer(name, _FLAGS[name].value, 16, _MAX_SIDE)
  chosen_adaptation.check()


def _render(run: trained_run.TrainedRun, path: str) -> None:
  """Adapts, plays, draws."""
  settings = task_film.FilmSettings(
    path,
    _FLAGS.width,
    _FLAGS.height,
    _FLAGS.fps,
    _FLAGS.deterministic,
    chosen_adaptation.seed(),
  )
  with contextlib.closing(run.create_environment(2, 1)) as environment:
    environment.prepare_rendering()
    task = chosen_task.find(run, chosen_run.task(), _FLAGS.seed)
    task_film.try_to_draw(environment, task, settings)
    adapted = _adapt(run, task)
    num_frames = task_film.write(run, environment, task, adapted, settings)
  terminal.log(f'render: wrote {num_frames} frames to {path}')
  _show_in_tensorboard(run, path)


def _show_in_tensorboard(run: trained_run.TrainedRun, path: str) -> None:
  """Writes a gif in the folder of a run with events to TensorBoard, too."""
  root_dir = chosen_run.root_dir()
  is_in_run = os.path.realpath(os.path.dirname(path) or '.') == (
    os.path.realpath(root_dir)
  )
  if not (is_in_run and path.lower().endswith('.gif')):
    return
  if tensorboard_summaries.has_events(root_dir):
    tensorboard_summaries.write_film(root_dir, path, run.iteration)


def _adapt(
  run: trained_run.TrainedRun, task: Any
) -> task_adaptation.Adaptation:
  """Adapts to the task and logs the returns."""
  with chosen_adaptation.playing(run, task) as environment:
    adapted = chosen_adaptation.adapt('render', run, environment)
  means = ' -> '.join(f'{value:.1f}' for value in adapted.returns.mean(axis=1))
  terminal.log(
    f'render: task {tasks_lib.name(task)}: return {means}, mean of'
    f' {adapted.returns.shape[1]} episodes'
  )
  return adapted
