"""The loop of a run: collect, learn, record. It can be stopped and resumed."""

from collections.abc import Sequence
import contextlib
import os
import shlex
import time

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent

from maml_tf import evaluation
from maml_tf.collection import meta_collector
from maml_tf.core import errors
from maml_tf.core import finite_checks
from maml_tf.core import random_streams
from maml_tf.learning import meta_learner
from maml_tf.run import checkpoints as run_checkpoints
from maml_tf.run import config_record
from maml_tf.run import interruption
from maml_tf.run import loggers
from maml_tf.run import metrics
from maml_tf.run import run_folder
from maml_tf.run import settings as settings_lib
from maml_tf.run import shared_collection
from maml_tf.run import workers as worker_group
import maml_tf.serving as serving

# An update cannot be cut. If it takes longer than this, every iteration is
# saved before the next one begins, so that a stop need not wait for it.
_LONG_UPDATE_SECONDS = 2.0


class Progress(tf.Module):
  """The steps and seconds of a run so far, kept in its checkpoints."""

  def __init__(self):
    super().__init__()
    self.env_steps = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.wall_seconds = tf.Variable(0, dtype=tf.float64, trainable=False)

  def advance(self, env_steps: int, seconds: float) -> None:
    """Adds what one iteration used."""
    self.env_steps.assign_add(env_steps)
    self.wall_seconds.assign_add(seconds)


class TrainingLoop:
  """Trains a run from the iteration that its folder has reached to the last.

  Several workers go through the loop in step: they share the results of their
  collections before they learn from them together.
  """

  def __init__(
    self,
    root_dir: str,
    settings: settings_lib.Settings,
    collector: meta_collector.MetaCollector,
    learner: meta_learner.MetaLearner,
    evaluator: evaluation.Evaluator | None,
    workers: worker_group.WorkerGroup,
    checkpoints: run_checkpoints.RunCheckpoints,
    progress: Progress,
    allow_config_change: bool = False,
  ):
    """Stores the parts of a run.

    Args:
      root_dir: The run's folder.
      settings: The settings of the run.
      collector: Collects the tasks of this worker.
      learner: Trains the agent; its graph has been made by `trace`.
      evaluator: None if settings.evaluation_interval is 0.
      workers: The processes that share the run.
      checkpoints: Save the agent, its step counter and the progress. Those of
        a run that goes on have been restored.
      progress: The steps and seconds of the run so far.
      allow_config_change: As in `train_eval`.
    """
    self._root_dir = root_dir
    self._settings = settings
    self._collector = collector
    self._learner = learner
    self._agent = learner.agent
    self._evaluator = evaluator
    self._workers = workers
    self._checkpoints = checkpoints
    self._progress = progress
    self._allow_config_change = allow_config_change
    self._skips_non_finite = settings.when_not_finite == 'skip'
    self._loggers = None

  def run(self, interrupt: interruption.Interrupt) -> None:
    """Trains up to the last iteration.

    Args:
      interrupt: Whether the user has asked to stop.

    Raises:
      As `train_eval`.
    """
    done = self._resume()
    with contextlib.ExitStack() as stack:
      if self._workers.is_chief:
        self._loggers = stack.enter_context(
          loggers.RunLoggers(
            self._root_dir,
            done + 1,
            self._settings.num_iterations,
            self._settings.loggers,
            self.columns(),
          )
        )
        self._record_config(done)
        if done and not self._loggers.has_evaluation(done):
          self._evaluate(done, interrupt)
      for iteration in range(done + 1, self._settings.num_iterations + 1):
        start = time.perf_counter()
        collection = self._collect(iteration, interrupt)
        collect_seconds = time.perf_counter() - start
        loss_info = self._learn(iteration, collection)
        # This meta-batch and the next one need not be in memory together.
        collection = collection._replace(meta_batch=None)
        seconds = time.perf_counter() - start
        self._progress.advance(collection.counts['env_steps'], seconds)
        if self._workers.is_chief:
          self._record(
            iteration, collection, loss_info, collect_seconds, seconds
          )
          # Before the checkpoint: a resumed run repeats nothing before it.
          self._evaluate(iteration, interrupt)
          self._save_if_due(iteration, seconds - collect_seconds)

  def columns(self) -> dict[str, Sequence[str]]:
    """Returns the columns of the run's rows; see `metrics.columns`."""
    names = shared_collection.COUNTS + self._collector.other_count_names
    return metrics.columns(
      shared_collection.nothing(self._collector.returns_shape, names),
      self._learner.skipped_loss_info(),
      self._collector.task_names,
    )

  def finish(self, interrupt: interruption.Interrupt) -> np.ndarray:
    """Exports the policy, unless that is left out, and plays held-out tasks.

    Args:
      interrupt: Whether the user has asked to stop.

    Returns:
      Returns on held-out tasks, float64 [X + 1, B, E].

    Raises:
      errors.RunError: The SavedModel cannot be written, or the held-out
        episodes have numbers that are not finite.
      interruption.Interrupted: The user asked to stop.
    """
    shape = self._collector.returns_shape
    held_out, stop_signal = np.full(shape, np.nan), 0
    try:
      with errors.run_errors(), interrupt.interruptible():
        if self._workers.is_chief and self._settings.export_saved_model:
          directory = os.path.join(self._root_dir, run_folder.MODEL_DIR)
          with errors.disk_errors(directory):
            serving.save_adaptive(self._agent, directory)
        held_out = self._collector.collect(random_streams.HELD_OUT).returns
    except interruption.Stop:
      stop_signal = interrupt.signal_number
    except finite_checks.NonFiniteError as error:
      raise errors.RunError(
        f'on held-out tasks {error}; the run is trained and saved'
      ) from error
    gathered = self._workers.exchange([stop_signal, *held_out.ravel()])
    stop_signal = int(gathered[:, 0].max())
    if stop_signal:
      raise interruption.Interrupted(self._settings.num_iterations, stop_signal)
    return shared_collection.join_returns(gathered[:, 1:], shape)

  def close(self) -> None:
    """Closes the environments."""
    self._collector.close()
    if self._evaluator is not None:
      self._evaluator.close()

  def _resume(self) -> int:
    """Writes the first checkpoint, or sends the restored one to all workers.

    Returns:
      The number of completed iterations.
    """
    if self._workers.is_chief and self._checkpoints.last_iteration is None:
      self._checkpoints.save(0)
    self._workers.broadcast_from_chief(
      (
        *self._agent.training_variables,
        self._agent.train_step_counter,
        *self._progress.variables,
      )
    )
    return int(self._agent.train_step_counter.numpy())

  def _record_config(self, done: int) -> None:
    """Records the settings of what will be trained, if anything will be."""
    if done >= self._settings.num_iterations:
      self._loggers.log(
        f'nothing is left to train: {done} iterations are done; to train on,'
        f' give a train_eval.num_iterations of more than {done}'
      )
      return
    with errors.disk_errors('the config'):
      # Now it holds the loggers' own settings, too.
      config_record.write_or_check(
        self._root_dir,
        self._allow_config_change,
        done,
        self._settings.num_iterations,
      )

  def _collect(
    self, iteration: int, interrupt: interruption.Interrupt
  ) -> shared_collection.Collection:
    """Collects this worker's tasks and shares the results with the others.

    Until it returns, theta is that of the iteration before.
    """
    shape = self._collector.returns_shape
    names = shared_collection.COUNTS + self._collector.other_count_names
    try:
      with errors.run_errors(), interrupt.interruptible():
        collection = shared_collection.of_worker(
          self._collector.collect(iteration)
        )
    except interruption.Stop:
      collection = shared_collection.nothing(
        shape, names, stop_signal=interrupt.signal_number
      )
      # The other workers may take longer than this process has left.
      self._save_last_good(iteration - 1)
    except finite_checks.NonFiniteError as error:
      collection = shared_collection.nothing(shape, names, str(error))
    except errors.RunError:  # The environment, or other code of the user's.
      self._save_last_good(iteration - 1)
      raise
    try:
      with self._workers.translate_errors():
        collection = shared_collection.exchange(collection, self._workers)
    except worker_group.WorkerLost:
      self._save_last_good(iteration - 1)
      raise
    if collection.stop_signal:
      self._save_last_good(iteration - 1)
      raise interruption.Interrupted(iteration - 1, collection.stop_signal)
    return collection

  def _learn(
    self, iteration: int, collection: shared_collection.Collection
  ) -> tf_agent.LossInfo | None:
    """Takes the meta-train step; None if the meta-batch is skipped."""
    problem = collection.problem
    if not problem:
      try:
        with errors.run_errors():
          return self._learner.run(collection.meta_batch)
      except finite_checks.NonFiniteError as error:
        problem = str(error)
    line = f'iteration {iteration}: {problem}'
    if not self._skips_non_finite:
      self._agent.train_step_counter.assign(iteration - 1)
      self._save_last_good(iteration - 1)
      raise errors.RunError(
        f'{line}; the run is saved after iteration {iteration - 1}:'
        f' {self._how_to_go_on()}'
      )
    self._agent.train_step_counter.assign(iteration)
    if self._loggers:
      self._loggers.log(f'{line}; this meta-batch is skipped')
    return None

  def _how_to_go_on(self) -> str:
    """Says what to add to the command after numbers that are not finite."""
    root_dir = shlex.quote(self._root_dir)
    line = (
      f'add --root_dir={root_dir}'
      ' --gin_bindings="train_eval.when_not_finite = \'skip\'" to the command'
      ' to learn nothing from such meta-batches'
    )
    binding = config_record.smaller_step_size()
    if binding:
      line += (
        f', or --root_dir={root_dir} --allow_config_change'
        f" --gin_bindings='{binding}' to take smaller steps"
      )
    return line

  def _record(
    self,
    iteration: int,
    collection: shared_collection.Collection,
    loss_info: tf_agent.LossInfo | None,
    collect_seconds: float,
    seconds: float,
  ) -> None:
    """Logs the metrics of an iteration."""
    self._loggers.write(
      iteration,
      metrics.of_iteration(
        iteration,
        int(self._progress.env_steps.numpy()),
        float(self._progress.wall_seconds.numpy()),
        collection,
        loss_info or self._learner.skipped_loss_info(),
        is_skipped=loss_info is None,
        collect_seconds=collect_seconds,
        update_seconds=seconds - collect_seconds,
        task_names=self._collector.task_names,
      ),
    )
    unstable_episodes = collection.counts['unstable_episodes']
    if unstable_episodes:
      self._loggers.log(
        f'iteration {iteration}: unstable physics ended {unstable_episodes}'
        ' episodes'
      )

  def _evaluate(
    self, iteration: int, interrupt: interruption.Interrupt
  ) -> None:
    """Evaluates if due; an evaluation that is cut is repeated on resuming."""
    interval = self._settings.evaluation_interval
    if not interval or iteration % interval:
      return
    try:
      with errors.run_errors(), interrupt.interruptible():
        evaluated = self._evaluator.evaluate()
    except interruption.Stop:
      return
    except finite_checks.NonFiniteError as error:
      line = f'evaluation after iteration {iteration}: {error}'
      if self._skips_non_finite:
        self._loggers.log(f'{line}; this evaluation is skipped')
        return
      self._save_last_good(iteration)
      raise errors.RunError(
        f'{line}; the run is saved: add'
        f' --root_dir={shlex.quote(self._root_dir)}'
        " --gin_bindings='train_eval.evaluation_interval = 0' to the command to"
        ' train on without evaluations'
      ) from error
    except errors.RunError:  # As above.
      self._save_last_good(iteration)
      raise
    env_steps = int(self._progress.env_steps.numpy())
    self._loggers.write(iteration, metrics.of_evaluation(evaluated, env_steps))

  def _save_if_due(self, iteration: int, update_seconds: float) -> None:
    """Saves regularly, at the end, and after each long update."""
    if (
      iteration % self._settings.checkpoint_interval == 0
      or iteration == self._settings.num_iterations
      or update_seconds > _LONG_UPDATE_SECONDS
    ):
      self._save(iteration)

  def _save_last_good(self, iteration: int) -> None:
    """Saves, unless that iteration is saved already."""
    if self._workers.is_chief and self._checkpoints.last_iteration != iteration:
      self._save(iteration)

  def _save(self, iteration: int) -> None:
    """Saves a checkpoint after the rows of its iterations."""
    self._loggers.sync()
    self._checkpoints.save(iteration)
