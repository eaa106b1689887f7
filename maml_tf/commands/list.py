"""Lists experiments, algorithms and trained policies."""

from collections.abc import Iterator
from collections.abc import Mapping
import textwrap

from maml_tf.commands import typed_command
from maml_tf.core import shipped_configs
from maml_tf.core import shipped_policies
from maml_tf.core import terminal

_WIDTH = 80


def main(argv):
  """Shows the lists; returns the exit code 0."""
  del argv  # Its flags are parsed.
  terminal.show('\n'.join(_lines()))
  return 0


def _lines() -> Iterator[str]:
  groups = shipped_configs.groups()
  train = typed_command.example('train')
  for title, names in (
    (f'experiments: {train} --gin_file=NAME', groups.experiments),
    (
      'algorithms, after an experiment: --gin_file=point.gin --gin_file=NAME',
      groups.algorithms,
    ),
    (
      "references, after a run's config: --gin_file=RUN/config.gin"
      ' --gin_file=NAME',
      groups.references,
    ),
  ):
    yield title
    yield from _table({n: shipped_configs.first_sentence(n) for n in names})
    yield ''
  adapt = typed_command.example('adapt')
  yield f'trained policies: {adapt} --policy=NAME'
  names = shipped_policies.names()
  yield from _table({n: _describe(shipped_policies.facts(n)) for n in names})


def _table(texts: Mapping[str, str]) -> Iterator[str]:
  """Yields names with texts beside them."""
  indent = ' ' * (max(map(len, texts)) + 4)
  for name, text in texts.items():
    first = f'  {name}'.ljust(len(indent))
    yield textwrap.fill(
      text, _WIDTH, initial_indent=first, subsequent_indent=indent
    )


def _describe(facts: shipped_policies.Facts) -> str:
  """Describes a trained policy in two sentences."""
  means = ' -> '.join(f'{value:.1f}' for value in facts.returns[:3])
  return (
    f'{facts.task[0].upper()}{facts.task[1:]}. Returns before and after 1 and 2'
    f' steps: {means}. Try --task={facts.example_task}'
  )
