"""Adapts to one task, as the flags of `maml_tf.commands.adapt_flags` say."""

import contextlib
import shlex
from typing import Any

from absl import flags
import numpy as np

from maml_tf.adaptation import task_adaptation
from maml_tf.commands import chosen_adaptation
from maml_tf.commands import chosen_run
from maml_tf.commands import chosen_task
from maml_tf.commands import task_film
from maml_tf.commands import typed_command
from maml_tf.core import checks
from maml_tf.core import cpu
from maml_tf.core import errors
from maml_tf.core import files
from maml_tf.core import finite_checks
from maml_tf.core import paths
from maml_tf.core import phrases
from maml_tf.core import terminal
from maml_tf.environments import task_environment
from maml_tf.run import trained_run
from maml_tf.video import video_file

_FLAGS = flags.FLAGS


def main(argv):
  """Adapts, and returns the exit code.

  0: done. 1: the task fails. 2: bad input. 130: stopped.
  """
  del argv  # Its flags are parsed.
  cpu.one_thread_an_operation()
  try:
    with errors.usage_errors():
      root_dir = chosen_run.root_dir()
      _check()
    run = trained_run.load_for_process(root_dir)
    with errors.usage_errors():
      _adapt_and_film(run)
  except errors.UsageError as error:
    return terminal.print_error('adapt', error, debug=_FLAGS.debug)
  except (errors.RunError, finite_checks.NonFiniteError) as error:
    return terminal.print_error('adapt', error, 1, _FLAGS.debug)
  except KeyboardInterrupt:
    return terminal.print_error('adapt', 'stopped', 130)
  return 0


def _check() -> None:
  """Raises ValueError for flags that are wrong in every run."""
  if _FLAGS.film is not None:
    video_file.check(_FLAGS.film, _film_settings().fps, '--film')
  if _FLAGS.out is not None:
    if not _FLAGS.out.endswith('.npz'):
      raise ValueError(f'--out is {_FLAGS.out}: give a name that ends in .npz')
    paths.check_output_file('--out', _FLAGS.out)
  chosen_adaptation.check()
  for name in ('step_size', 'max_kl'):
    if _FLAGS[name].value is not None:
      checks.number(name, _FLAGS[name].value, above=0)


def _film_settings() -> task_film.FilmSettings:
  return task_film.FilmSettings(_FLAGS.film, seed=chosen_adaptation.seed())


def _adapt_and_film(run: trained_run.TrainedRun) -> None:
  """Adapts, shows the returns, and writes what the flags ask for."""
  task = chosen_task.find(run, chosen_run.task(), _FLAGS.seed)
  with contextlib.ExitStack() as stack:
    filmed = None
    if _FLAGS.film is not None:
      filmed = stack.enter_context(
        contextlib.closing(run.create_environment(2, 1))
      )
      filmed.prepare_rendering()
      task_film.try_to_draw(filmed, task, _film_settings())
    adapted = _adapt(run, task)
    if _FLAGS.out is not None:
      _write(adapted)
    if filmed is not None:
      num_frames = task_film.write(run, filmed, task, adapted, _film_settings())
      terminal.log(f'adapt: wrote {num_frames} frames to {_FLAGS.film}')


def _adapt(
  run: trained_run.TrainedRun, task: Any
) -> task_adaptation.Adaptation:
  """Adapts to the task and shows the return after every step."""
  with chosen_adaptation.playing(run, task) as environment:
    terminal.log(f'adapt: {_describe(environment, task)}')
    return chosen_adaptation.adapt(
      'adapt',
      run,
      environment,
      step_size=_FLAGS.step_size,
      max_kl=_FLAGS.max_kl,
      observers=[_show],
    )


def _describe(environment: task_environment.TaskEnvironment, task: Any) -> str:
  """Describes what is played."""
  episodes = phrases.count(environment.environments_per_task, 'episode')
  return (
    f'{environment.describe_task(task)}; each step learns from {episodes} of'
    f' {environment.horizon} steps'
  )


def _show(stage: int, returns: np.ndarray) -> None:
  """Shows the mean return of the episodes after some steps."""
  terminal.show(
    f'{phrases.after_steps(stage):17}  return {returns.mean():8.1f}'
  )


def _write(adapted: task_adaptation.Adaptation) -> None:
  """Writes the adapted parameters as `maml_tf.export` reads them."""
  with files.replace_file(_FLAGS.out) as scratch:
    np.savez(scratch, *(p.numpy() for p in adapted.parameters))
  export = typed_command.example('export')
  source = 'policy' if _FLAGS.policy else 'root_dir'
  name = shlex.quote(_FLAGS[source].value)
  terminal.log(
    f'adapt: wrote the adapted parameters to {_FLAGS.out}; to export them:'
    f' {export} --{source}={name} --state={shlex.quote(_FLAGS.out)}'
    ' --export_dir=DIR'
  )
