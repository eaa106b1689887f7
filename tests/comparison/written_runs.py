"""Run folders with numbers made up by a test."""

HEADER = 'iteration,env_steps,wall_seconds,return_step_0,return_step_1'
VERSION_LINE = '# Written by maml_tf 0.1.0\n'


def write(folder, returns, settings=(), bound=()):
  """Writes a run: a row for each return after a step; returns its path."""
  folder.mkdir(parents=True)
  rows = [
    f'{i},{100 * i},{2 * i},{value / 2},{value}'
    for i, value in enumerate(returns, 1)
  ]
  write_rows(folder, '\n'.join([HEADER, *rows]) + '\n')
  lines = [f'{name} = {value}\n' for name, value in dict(settings).items()]
  lines += [f'# Bound, not a default: {name}\n' for name in bound]
  (folder / 'config.gin').write_text(VERSION_LINE + ''.join(lines))
  return str(folder)


def write_rows(folder, text):
  """Writes a metrics.csv."""
  (folder / 'metrics.csv').write_text(text)
