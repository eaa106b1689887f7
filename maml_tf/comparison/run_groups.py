"""Runs grouped by their configs: the same but for the seed is one group."""

import collections
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
import re
from typing import NamedTuple

from maml_tf.comparison import run_records
from maml_tf.run import config_values

# Longer values of settings are cut in labels.
_VALUE_WIDTH = 40
# A label shows as many settings. If more are needed, it shows those in which a
# group differs from most others.
_MOST_SHOWN = 3
_ENVIRONMENT = 'train_eval.environment_class'
NOT_SET = 'not set'
UNKNOWN = 'unknown'
_USUAL = 'as most others'
# Scopes and module of what a value refers to.
_REFERENCE = re.compile(r'(@(?:\w+/)*)([A-Za-z_][\w.]*)')


class RunGroup(NamedTuple):
  """Runs whose configs differ in nothing but the seed.

  Attributes:
    label: What makes the group different, such as 'InnerLoop.step_size = 0.3'.
    settings: The values of the settings in which the groups differ, by name;
      None where a run does not use the setting, `UNKNOWN` where its config is
      unknown.
    runs: The runs.
  """

  label: str
  settings: Mapping[str, str | None]
  runs: tuple[run_records.RunRecord, ...]


def group(runs: Sequence[run_records.RunRecord]) -> list[RunGroup]:
  """Groups runs, in the order of their first runs.

  What a resumed run may change, such as the number of iterations, makes no
  difference. A run without a config is a group of its own.

  Args:
    runs: The runs.
  """
  known = [run for run in runs if run.settings is not None]
  settings = _differing(known)
  members = {}
  for run in runs:
    key = (None, run.name)
    if run.settings is not None:
      key = tuple(values[run.name] for values in settings.values())
    members.setdefault(key, []).append(run)
  firsts = [of_group[0] for of_group in members.values()]
  labels = {run.name: run.name for run in firsts} | _labels(
    [run for run in firsts if run.settings is not None], settings
  )
  counts = collections.Counter(labels.values())
  return [
    RunGroup(
      # Long values are equal where they are cut.
      labels[run.name] + f', as in {run.name}' * (counts[labels[run.name]] > 1),
      {n: values.get(run.name, UNKNOWN) for n, values in settings.items()},
      tuple(of_group),
    )
    for run, of_group in zip(firsts, members.values())
  ]


def environments(runs: Sequence[run_records.RunRecord]) -> str:
  """Returns the names of the runs' environments, or those of the runs."""
  names = {_environment(run) or run.name for run in runs}
  return ', '.join(sorted(names))


def _environment(run: run_records.RunRecord) -> str:
  selector = (run.settings or {}).get(_ENVIRONMENT, '')
  return re.split('[@.]', selector)[-1]


def _differing(
  runs: Sequence[run_records.RunRecord],
) -> dict[str, dict[str, str | None]]:
  """Returns the values, by run's name, of the settings that differ."""
  configs = {run.name: run.settings or {} for run in runs}
  left_out = (run_records.SEED, *config_values.may_change(*configs.values()))
  short = _short_names(configs.values())
  values, defaults = {}, {}
  for run in runs:
    for name, value in configs[run.name].items():
      # A value that depends on the device is that of a CPU.
      if value == 'None':
        value = config_values.ON_CPU.get(name, value)
      if not name.startswith(left_out):
        shown = _shorten_name(name, short)
        values.setdefault(shown, {})[run.name] = _shorten_value(value, short)
        if run.bound is not None and name not in run.bound:
          defaults[shown] = values[shown][run.name]
  # A run that lacks a parameter has its default: an older version did not have
  # it, or nothing uses it.
  everywhere = {
    name: {run.name: of_run.get(run.name, defaults.get(name)) for run in runs}
    for name, of_run in sorted(values.items())
  }
  return {n: v for n, v in everywhere.items() if len(set(v.values())) > 1}


def _short_names(configs: Iterable[Mapping[str, str]]) -> dict[str, str]:
  """Returns the last parts of selectors, unless two selectors share them.

  gin writes `tf.keras.optimizers.Adam` in one record and `Adam` in another.
  """
  by_leaf = {}
  for config in configs:
    for name, value in config.items():
      owner = f'@{name.rpartition(".")[0]}'
      for _, selector in _REFERENCE.findall(f'{owner} {value}'):
        by_leaf.setdefault(selector.rpartition('.')[2], set()).add(selector)
  short = {}
  for leaf, selectors in by_leaf.items():
    longest = f'.{max(selectors, key=len)}'
    if all(longest.endswith(f'.{selector}') for selector in selectors):
      short.update({selector: leaf for selector in selectors})
  return short


def _shorten_name(name: str, short: Mapping[str, str]) -> str:
  owner, dot, parameter = name.rpartition('.')
  return _shorten_value(f'@{owner}', short)[1:] + dot + parameter


def _shorten_value(value: str, short: Mapping[str, str]) -> str:
  return _REFERENCE.sub(lambda m: m[1] + short.get(m[2], m[2]), value)


def _labels(
  firsts: Sequence[run_records.RunRecord],
  settings: Mapping[str, Mapping[str, str | None]],
) -> dict[str, str]:
  """Returns the groups' labels by the names of their first runs."""
  names = [run.name for run in firsts]
  if len(names) == 1:
    return {names[0]: _environment(firsts[0]) or names[0]}
  shown = _shown_settings(names, settings)
  more = len(settings) - len(shown)
  end = f' and {more} more setting{"s" * (more > 1)}' if more else ''
  usual = {}
  if len(shown) > _MOST_SHOWN:
    usual = {s: _most_common([settings[s][n] for n in names]) for s in shown}
  labels = {}
  for name in names:
    values = {s: settings[s][name] for s in shown}
    unusual = {
      s: v for s, v in values.items() if s not in usual or v != usual[s]
    }
    assignments = [_assignment(*item) for item in unusual.items()]
    labels[name] = (', '.join(assignments) or _USUAL) + end
  return labels


def _most_common(values: Sequence[str | None]) -> str | None:
  ((value, _),) = collections.Counter(values).most_common(1)
  return value


def _shown_settings(
  names: Sequence[str], settings: Mapping[str, Mapping[str, str | None]]
) -> list[str]:
  """Returns the settings that labels show: all, or those that suffice."""
  if len(settings) <= _MOST_SHOWN:
    return list(settings)

  def count(chosen):
    return len({tuple(settings[s][name] for s in chosen) for name in names})

  def preference(setting):
    values = settings[setting].values()
    # Tasks matter more than numbers, and they more than what not all have.
    is_first = setting == _ENVIRONMENT
    return (
      not is_first,
      None in values,
      any('@' in str(v) for v in values),
      setting,
    )

  shown = []
  while count(shown) < len(names):
    # The first of those that tell most groups apart.
    shown.append(
      max(
        sorted(settings.keys() - {*shown}, key=preference),
        key=lambda setting: count([*shown, setting]),
      )
    )
  return shown


def _assignment(name: str, value: str | None) -> str:
  if value is None:
    return f'{name} {NOT_SET}'
  value = ' '.join(value.split())
  if len(value) > _VALUE_WIDTH:
    value = f'{value[: _VALUE_WIDTH - 3]}...'
  return f'{name} = {value}'
