"""The loop of a run: collect, learn, record; cut anywhere, gone on with."""

import contextlib
import os
import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from tf_agents.agents import tf_agent

from maml_tf import evaluation
from maml_tf import serving
from maml_tf.collection import meta_collector
from maml_tf.core import errors
from maml_tf.core import finite_checks
from maml_tf.core import random_streams
from maml_tf.learning import maml_agent
from maml_tf.learning import meta_learner
from maml_tf.run import checkpoints as run_checkpoints
from maml_tf.run import interruption
from maml_tf.run import run_log
from maml_tf.run import workers as worker_group

# An update cannot be cut. Where it lasts longer than this, every iteration is
# saved before the next one begins, so that a stop need not wait for it.
_LONG_UPDATE_SECONDS = 2.0


class Progress(tf.Module):
  """What a run has used so far, kept in its checkpoints."""

  def __init__(self):
    super().__init__()
    self.env_steps = tf.Variable(0, dtype=tf.int64, trainable=False)
    self.wall_seconds = tf.Variable(0, dtype=tf.float64, trainable=False)

  def advance(self, env_steps: int, seconds: float) -> None:
    self.env_steps.assign_add(env_steps)
    self.wall_seconds.assign_add(seconds)


def check_resumable(root_dir: str) -> None:
  """Makes sure that a folder holds a whole run, or none; it writes nothing.

  Args:
    root_dir: The run's folder, which need not exist.

  Raises:
    errors.UsageError: It has metrics without a checkpoint, or no intact one.
  """
  directory = os.path.join(root_dir, run_checkpoints.CHECKPOINT_DIR)
  newest = run_checkpoints.newest_intact(directory, say=lambda line: None)
  metrics = os.path.join(root_dir, run_log.METRICS_FILE)
  if newest is None and os.path.exists(metrics):
    raise errors.UsageError(
      f'{root_dir} has a {run_log.METRICS_FILE} but no checkpoint: bring its'
      ' checkpoints back, or give another --root_dir'
    )


class TrainingLoop:
  """Trains a run from where its folder says it is, to its end.

  Several workers go through the loop in step: each tells the others what became
  of its collection before they learn from it together.
  """

  def __init__(
    self,
    root_dir: str,
    collector: meta_collector.MetaCollector,
    learner: meta_learner.MetaLearner,
    progress: Progress,
    workers: worker_group.WorkerGroup,
    num_iterations: int,
    checkpoint_interval: int,
    evaluator: evaluation.Evaluator | None = None,
    evaluation_interval: int = 0,
    skips_non_finite: bool = False,
    exports_saved_model: bool = True,
  ):
    """Takes the parts of a run; the arguments are those of `train_eval`."""
    self._root_dir = root_dir
    self._collector = collector
    self._learner = learner
    self._agent = learner.agent
    self._progress = progress
    self._workers = workers
    self._num_iterations = num_iterations
    self._checkpoint_interval = checkpoint_interval
    self._evaluator = evaluator
    self._evaluation_interval = evaluation_interval
    self._skips_non_finite = skips_non_finite
    self._exports_saved_model = exports_saved_model
    self._checkpoints = run_checkpoints.RunCheckpoints(
      root_dir,
      agent=self._agent,
      train_step=self._agent.train_step_counter,
      progress=progress,
    )
    self._log = None

  def run(self, interrupt: interruption.Interrupt) -> None:
    """Trains up to the last iteration.

    Args:
      interrupt: Says when to stop.

    Raises:
      As `train_eval`.
    """
    done = self._resume()
    with contextlib.ExitStack() as stack:
      if self._workers.is_chief:
        with errors.disk_errors('the log'):
          self._log = run_log.RunLog(self._root_dir, done, self._num_iterations)
        stack.enter_context(self._log)
        if done and not self._log.has_evaluation(done):
          self._evaluate(done, interrupt)
      for iteration in range(done + 1, self._num_iterations + 1):
        start = time.perf_counter()
        collection = self._collect(iteration, interrupt)
        collect_seconds = time.perf_counter() - start
        loss_info = self._learn(iteration, collection)
        # Its frames need not lie beside the next one's.
        collection = collection._replace(meta_batch=None)
        seconds = time.perf_counter() - start
        self._progress.advance(collection.env_steps, seconds)
        if self._workers.is_chief:
          self._record(
            iteration, collection, loss_info, collect_seconds, seconds
          )
          # Before the checkpoint: a resumed run repeats nothing before it.
          self._evaluate(iteration, interrupt)
          self._save_if_due(iteration, seconds - collect_seconds)

  def finish(self, interrupt: interruption.Interrupt) -> np.ndarray:
    """Exports the policy and plays held-out tasks.

    Args:
      interrupt: Says when to stop.

    Returns:
      Returns on held-out tasks, float64 [X + 1, B, E].

    Raises:
      errors.RunError: The SavedModel cannot be written, or what is played has
        numbers that are not finite.
      interruption.Interrupted: The user asked to stop.
    """
    shape = self._collector.returns_shape
    held_out, stop_signal = np.full(shape, np.nan), 0
    try:
      with interrupt.interruptible():
        if self._workers.is_chief and self._exports_saved_model:
          directory = os.path.join(self._root_dir, 'saved_model')
          with errors.disk_errors(directory):
            serving.remove_leftovers(directory)
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
      raise interruption.Interrupted(self._num_iterations, stop_signal)
    return _of_all_workers(gathered[:, 1:], shape)

  def _resume(self):
    """Restores the last checkpoint, or writes the first; returns iterations."""
    if self._workers.is_chief and not self._checkpoints.restore():
      self._checkpoints.save(0)
    self._workers.broadcast_from_chief(
      (
        *self._agent.training_variables,
        self._agent.train_step_counter,
        *self._progress.variables,
      )
    )
    return int(self._agent.train_step_counter.numpy())

  def _collect(self, iteration, interrupt):
    """Collects this worker's tasks and hears of the others'.

    Whatever happens here, theta is still that of the iteration before.
    """
    collected, problem, stop_signal = None, '', 0
    try:
      with interrupt.interruptible():
        collected = self._collector.collect(iteration)
    except interruption.Stop:
      stop_signal = interrupt.signal_number
      # Others may take longer than there is time.
      self._save_last_good(iteration - 1)
    except finite_checks.NonFiniteError as error:
      problem = str(error)
    shape = self._collector.returns_shape
    blank = np.full(shape, np.nan)
    try:
      with self._workers.translate_errors():
        gathered = self._workers.exchange(
          [
            stop_signal,
            collected.env_steps if collected else 0,
            collected.unstable_episodes if collected else 0,
            *_to_numbers(problem),
            *(collected.returns if collected else blank).ravel(),
          ]
        )
    except worker_group.WorkerLost:
      self._save_last_good(iteration - 1)
      raise
    stop_signal = int(gathered[:, 0].max())
    if stop_signal:
      self._save_last_good(iteration - 1)
      raise interruption.Interrupted(iteration - 1, stop_signal)
    problems = [_to_text(row[3 : 3 + _MESSAGE_LENGTH]) for row in gathered]
    problem = next(filter(None, problems), '')
    if problem:
      # What one worker has collected does not count without the others'.
      returns = np.tile(blank, (1, len(gathered), 1))
      return _Collection(None, returns, 0, 0, problem)
    return _Collection(
      meta_batch=collected.meta_batch,
      returns=_of_all_workers(gathered[:, 3 + _MESSAGE_LENGTH :], shape),
      env_steps=int(gathered[:, 1].sum()),
      unstable_episodes=int(gathered[:, 2].sum()),
      problem='',
    )

  def _learn(self, iteration, collection):
    """Takes the meta-train step; None if the meta-batch is skipped."""
    problem = collection.problem
    if not problem:
      try:
        return self._learner.run(collection.meta_batch)
      except finite_checks.NonFiniteError as error:
        problem = str(error)
    line = f'iteration {iteration}: {problem}'
    if not self._skips_non_finite:
      self._agent.train_step_counter.assign(iteration - 1)
      self._save_last_good(iteration - 1)
      raise errors.RunError(
        f'{line}; the run is saved after iteration {iteration - 1}: try smaller'
        " step sizes, or train_eval.when_not_finite = 'skip'"
      )
    self._agent.train_step_counter.assign(iteration)
    if self._log:
      self._log.say(f'{line}; this meta-batch is skipped')
    return None

  def _record(self, iteration, collection, loss_info, collect_seconds, seconds):
    row = _row(
      iteration, self._progress, collection, loss_info, collect_seconds, seconds
    )
    with errors.disk_errors('the log'):
      self._log.write(row)
      if collection.unstable_episodes:
        self._log.say(
          f'iteration {iteration}: unstable physics ended'
          f' {collection.unstable_episodes} episodes'
        )

  def _evaluate(self, iteration, interrupt):
    """Evaluates where it is due; what is cut is made up for on resuming."""
    if not self._evaluation_interval or iteration % self._evaluation_interval:
      return
    try:
      with interrupt.interruptible():
        evaluated = self._evaluator.evaluate()
    except interruption.Stop:
      return
    except finite_checks.NonFiniteError as error:
      line = f'evaluation after iteration {iteration}: {error}'
      if self._skips_non_finite:
        self._log.say(f'{line}; this evaluation is skipped')
        return
      self._save_last_good(iteration)
      raise errors.RunError(
        f'{line}; the run is saved, and trains on with'
        ' train_eval.evaluation_interval = 0'
      ) from error
    with errors.disk_errors('the log'):
      self._log.write_evaluation(_evaluation_rows(evaluated, self._progress))

  def _save_if_due(self, iteration, update_seconds):
    if (
      iteration % self._checkpoint_interval == 0
      or iteration == self._num_iterations
      or update_seconds > _LONG_UPDATE_SECONDS
    ):
      self._checkpoints.save(iteration)

  def _save_last_good(self, iteration):
    """Saves, unless it is saved already."""
    if self._workers.is_chief and self._checkpoints.last_iteration != iteration:
      self._checkpoints.save(iteration)


class _Collection(NamedTuple):
  """What all workers collected in an iteration.

  Attributes:
    meta_batch: Of this worker's tasks; None if there was a problem.
    returns: A float64 array [X + 1, B, E], of all tasks; NaN if there was one.
    env_steps: Of all tasks.
    unstable_episodes: Of all tasks: how many unstable physics ended.
    problem: What is not finite, in one line; '' if nothing is.
  """

  meta_batch: object
  returns: np.ndarray
  env_steps: int
  unstable_episodes: int
  problem: str


# Workers tell each other numbers, and as many each time.
_MESSAGE_LENGTH = 200


def _to_numbers(text):
  codes = [ord(c) for c in text[:_MESSAGE_LENGTH]]
  return codes + [0] * (_MESSAGE_LENGTH - len(codes))


def _to_text(numbers):
  return ''.join(chr(int(n)) for n in numbers if n)


def _of_all_workers(gathered, shape):
  """Puts [workers, (X+1)*B*E] together to [X + 1, B of all, E]."""
  parts = gathered.reshape(-1, *shape)
  return np.concatenate(list(parts), axis=1)


def _skipped_loss_info(num_adaptation_steps):
  """What a meta-batch gives that nothing was learned from."""
  scalars = {name: np.nan for name in maml_agent.MamlLossInfo._fields}
  per_step = np.full(num_adaptation_steps, np.nan)
  for name in ('inner_kl', 'kl_coefficient', 'inner_loss'):
    scalars[name] = per_step
  return tf_agent.LossInfo(np.nan, maml_agent.MamlLossInfo(**scalars))


def _row(
  iteration: int,
  progress: Progress,
  collection: _Collection,
  loss_info: tf_agent.LossInfo | None,
  collect_seconds: float,
  seconds: float,
) -> dict[str, float]:
  """One row of metrics.csv: plain numbers by name."""
  row = {
    'iteration': iteration,
    'env_steps': int(progress.env_steps.numpy()),
    'wall_seconds': round(float(progress.wall_seconds.numpy()), 3),
  }
  mean_returns = collection.returns.mean(axis=(1, 2))
  for name, values in (
    ('return_step', mean_returns),
    ('return_min_step', collection.returns.min(axis=(1, 2))),
    ('return_max_step', collection.returns.max(axis=(1, 2))),
  ):
    row.update({f'{name}_{i}': float(v) for i, v in enumerate(values)})
  row['adaptation_delta'] = float(mean_returns[-1] - mean_returns[0])
  is_skipped = loss_info is None
  loss_info = loss_info or _skipped_loss_info(len(mean_returns) - 1)
  row['meta_loss'] = float(loss_info.loss)
  extra = tf.nest.map_structure(np.asarray, loss_info.extra)
  for name in ('policy_loss', 'vf_loss', 'entropy', 'kl'):
    row[name] = float(getattr(extra, name))
  for name in ('inner_kl', 'kl_coefficient', 'inner_loss'):
    values = getattr(extra, name)
    row.update({f'{name}_step_{i}': float(v) for i, v in enumerate(values)})
  row['gradient_norm'] = float(extra.gradient_norm)
  row['learning_rate'] = float(extra.learning_rate)
  row['unstable_episodes'] = collection.unstable_episodes
  row['skipped_meta_batches'] = int(is_skipped)
  row['collect_seconds'] = round(collect_seconds, 4)
  row['update_seconds'] = round(seconds - collect_seconds, 4)
  row['env_steps_per_second'] = round(collection.env_steps / seconds, 1)
  return row


def _evaluation_rows(
  evaluated: evaluation.Evaluation, progress: Progress
) -> list[dict[str, float]]:
  """The rows of evaluations.csv, one for each adaptation step."""
  (trained,) = evaluated.policies
  return [
    {
      'iteration': evaluated.iteration,
      'env_steps': int(progress.env_steps.numpy()),
      'step': step,
      **statistics._asdict(),
    }
    for step, statistics in enumerate(trained.statistics)
  ]
