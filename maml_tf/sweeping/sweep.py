"""A sweep: its runs are trained, reported line by line, and tabulated."""

from collections.abc import Mapping
import os
import time

from maml_tf.comparison import report
from maml_tf.comparison import run_records
from maml_tf.core import errors
from maml_tf.core import terminal
from maml_tf.sweeping import plan as plan_lib
from maml_tf.sweeping import processes
from maml_tf.sweeping import table


class Sweep:
  """The runs of a plan in one folder."""

  def __init__(
    self,
    root_dir: str,
    plan: plan_lib.Plan,
    num_iterations: Mapping[str, int],
  ):
    """Looks up which runs are finished.

    Args:
      root_dir: The sweep's folder.
      plan: The runs.
      num_iterations: The iterations of a whole run, by the name of its point.
    """
    self._root_dir = root_dir
    self._plan = plan
    finished = table.read_finished(root_dir)
    # By the name of a run.
    self._ends = {r.name: table.read_ends(self._folder(r)) for r in plan.runs}
    self._statuses = {}
    for run in plan.runs:
      done = self._ends[run.name].iterations
      is_finished = (
        run.name in finished and done >= num_iterations[run.point.name]
      )
      self._statuses[run.name] = (
        table.FINISHED if is_finished else table.WAITING
      )
    self._started_at: dict[str, float] = {}
    self._failures: dict[str, str] = {}

  @property
  def is_finished(self) -> bool:
    """Whether all runs are finished."""
    return set(self._statuses.values()) == {table.FINISHED}

  def run(self, num_at_once: int) -> int | None:
    """Trains the runs that are not finished.

    Args:
      num_at_once: How many processes run at a time.

    Returns:
      None, or the number of the signal that stopped it.
    """
    runs = self._plan.runs
    todo = [r for r in runs if self._statuses[r.name] != table.FINISHED]
    before = len(runs) - len(todo)
    parts = [f'sweep: {len(runs)} runs in {self._root_dir}']
    parts += [f'{num_at_once} at a time'] * (num_at_once > 1)
    parts += [f'{before} are finished'] * bool(before)
    terminal.log(', '.join(parts))
    self._write()
    start = time.monotonic()
    signal_number = processes.train(
      [self._job(run) for run in todo],
      num_at_once,
      lambda index: self._start(todo[index]),
      lambda index, code: self._end(todo[index], code),
    )
    self._report(time.monotonic() - start)
    return signal_number

  def _folder(self, run: plan_lib.PlannedRun) -> str:
    return os.path.join(self._root_dir, run.name)

  def _job(self, run: plan_lib.PlannedRun) -> processes.Job:
    bindings = [
      *self._plan.gin_bindings,
      *run.point.bindings,
      f'train_eval.seed = {run.seed}',
    ]
    return processes.Job(self._folder(run), self._plan.gin_files, bindings)

  def _start(self, run: plan_lib.PlannedRun) -> None:
    self._started_at[run.name] = time.monotonic()
    done = self._ends[run.name].iterations
    resumed = f', which has {done} iterations' if done else ''
    terminal.log(f'started   {run.name}{resumed}')
    self._statuses[run.name] = table.RUNNING
    self._write()

  def _end(self, run: plan_lib.PlannedRun, code: int) -> None:
    """Reports how a run has ended."""
    seconds = duration(time.monotonic() - self._started_at[run.name])
    status = table.FAILED
    if code in processes.STOPPED_CODES:
      status = table.STOPPED
    elif code == 0:
      status = table.FINISHED
    self._statuses[run.name] = status
    ends = self._ends[run.name] = table.read_ends(self._folder(run))
    told = f'return {ends.return_before:.1f} -> {ends.return_after:.1f}'
    if status == table.STOPPED:
      told = f'after iteration {ends.iterations}'
    elif status == table.FAILED:
      log = self._job(run).log
      told = f'exit code {code}: {processes.last_line(log)}'
      self._failures[run.name] = f'{told}; see {log}'
    counts = list(self._statuses.values())
    finished = counts.count(table.FINISHED)
    terminal.log(
      f'{status:9} {run.name}: {told}; {seconds}; {finished} of {len(counts)}'
      ' are finished'
    )
    self._write()

  def _write(self) -> None:
    table.write(self._root_dir, self._plan.runs, self._statuses, self._ends)

  def _report(self, seconds: float) -> None:
    """Reports the whole: what failed, and where the results are."""
    written = [table.TABLE_FILE, *self._write_page()]
    for name, failure in self._failures.items():
      terminal.log(f'sweep: {name} failed: {failure}')
    finished = list(self._statuses.values()).count(table.FINISHED)
    terminal.log(
      f'sweep: {finished} of {len(self._statuses)} runs are finished after'
      f' {duration(seconds)}; wrote {" and ".join(written)} to {self._root_dir}'
    )

  def _write_page(self) -> list[str]:
    """Writes the page of a comparison; returns its name, if it is written."""
    folders = [
      self._folder(run)
      for run in self._plan.runs
      if self._ends[run.name].iterations
    ]
    if not folders:
      return []
    try:
      text = report.write(
        run_records.read_all(folders),
        self._root_dir,
        table.LAST_SHARE,
        page_alone=True,
      )
    except (errors.UsageError, OSError) as error:
      terminal.log(f'sweep: there is no page: {error}')
      return []
    terminal.show(text)
    return [report.PAGE_FILE]


def duration(seconds: float) -> str:
  """Returns a time as '0:01:05'."""
  minutes, seconds = divmod(round(seconds), 60)
  hours, minutes = divmod(minutes, 60)
  return f'{hours}:{minutes:02}:{seconds:02}'
