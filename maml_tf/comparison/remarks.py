"""What a reader of a comparison should know: a line for each fact."""

from collections.abc import Sequence

from maml_tf.comparison import curves
from maml_tf.comparison import run_groups
from maml_tf.comparison import tables
from maml_tf.core import run_files


def of_groups(groups: Sequence[run_groups.RunGroup]) -> list[str]:
  """Returns what matters for curves and for numbers."""
  lines = []
  for group in groups:
    lines += _repeated_seeds(group)
  runs = [run for group in groups for run in group.runs]
  unknown = [run.name for run in runs if run.settings is None]
  if unknown:
    lines.append(
      f'{_join(unknown)} without a {run_files.CONFIG_FILE}: what differs there'
      ' is unknown'
    )
  lines += [
    f'{run.name} changed its settings on the way, see'
    f' {run_files.CHANGES_FILE} there: it is compared by those of its end'
    for run in runs
    if run.has_changed
  ]
  if len(groups) > curves.NUM_LOOKS:
    lines.append(
      f'{len(groups)} groups have {curves.NUM_LOOKS} colours and styles: some'
      ' look the same'
    )
  return lines


def of_lengths(groups: Sequence[run_groups.RunGroup]) -> list[str]:
  """Returns which final returns are of runs that differ in their length."""
  lines = []
  for letter, group in zip(tables.letters(len(groups)), groups):
    lengths = [run.num_iterations for run in group.runs]
    if min(lengths) < max(lengths):
      lines.append(
        f'{letter} has runs of {min(lengths)} to {max(lengths)} iterations: its'
        ' final returns mix shorter and longer training'
      )
  return lines


def _repeated_seeds(group: run_groups.RunGroup) -> list[str]:
  by_seed = {}
  for run in group.runs:
    by_seed.setdefault(run.seed, []).append(run.name)
  return [
    f'{_join(names)} have the same settings and seed {seed}: they are not'
    ' independent draws, and intervals are too narrow'
    for seed, names in by_seed.items()
    if seed and len(names) > 1
  ]


def _join(names: Sequence[str]) -> str:
  return ' and '.join(names)
