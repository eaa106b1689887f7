"""The page of a comparison: one HTML file that opens without a network."""

from collections.abc import Mapping
from collections.abc import Sequence
import datetime
import html
import re
from typing import NamedTuple

from maml_tf.comparison import curves
from maml_tf.comparison import films as films_lib
from maml_tf.comparison import final_returns
from maml_tf.comparison import page_style
from maml_tf.comparison import run_records
from maml_tf.comparison import tables as tables_lib
from maml_tf.core import paths
from maml_tf.core import phrases
from maml_tf.core import version


class Picture(NamedTuple):
  """A picture of the page.

  Attributes:
    svg: The picture.
    caption: What it shows.
  """

  svg: str
  caption: str


def render(
  title: str,
  ends: Sequence[final_returns.GroupEnd],
  remarks: Sequence[str],
  pictures: Sequence[Picture],
  tables: Sequence[tables_lib.Table],
  settings: tables_lib.Table | None,
  runs: tables_lib.Table,
  films: Mapping[str, Sequence[films_lib.Film]],
) -> str:
  """Returns the page.

  Args:
    title: The page's title.
    ends: What the groups have reached.
    remarks: Lines about the runs.
    pictures: The pictures.
    tables: Tables whose first column has the groups' letters.
    settings: The table of the settings that differ. None: none does.
    runs: The table of the single runs.
    films: Pictures and films by the folders that they are in.
  """
  title = html.escape(paths.printable(title))
  num_runs = sum(len(end.runs) for end in ends)
  time = datetime.datetime.now().strftime('%Y-%m-%d %H:%M')
  parts = [
    f'<h1>{title}</h1>',
    f'<p class="soft">{phrases.count(num_runs, "run")} in'
    f' {phrases.count(len(ends), "group")}'
    f' &middot; {time} &middot; maml_tf {version.VERSION}</p>',
    _key(ends),
    *(f'<p class="remark">{html.escape(line)}.</p>' for line in remarks),
    '<h2>Curves</h2>',
    '<div class="grid">',
    *(
      f'<figure>{picture.svg}<figcaption>{html.escape(picture.caption)}'
      '</figcaption></figure>'
      for picture in pictures
    ),
    '</div>',
  ]
  letters = _letters(len(ends))
  for table in tables:
    parts += [
      f'<h2>{html.escape(table.title)}</h2>',
      _table(table, 'cards', letters),
    ]
  parts.append('<h2>What differs in the configs</h2>')
  if settings is None:
    parts.append(f'<p>{_no_difference(ends)}</p>')
  else:
    parts.append(_table(settings, 'cards settings', letters))
  parts += _films(ends, films)
  parts += [f'<h2>{runs.title}</h2>', _table(runs, 'cards', letters)]
  parts += ['<h2>How to read this</h2>', f'<p class="soft">{_EXPLANATION}</p>']
  return _PAGE.format(title=title, style=page_style.CSS, body='\n'.join(parts))


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""

_EXPLANATION = (
  'Runs whose configs differ in nothing but the seed are a group. Numbers are'
  ' interquartile means over the runs of a group (with fewer than four: means);'
  ' brackets and bands are 95% percentile intervals of a bootstrap over these'
  ' runs. With few seeds such intervals are too narrow: of three seeds they'
  ' never leave the range. A single run has no interval. Curves end'
  ' where the shortest run of a group ends; a run that goes further continues'
  ' as a thin line.'
)


def _key(ends: Sequence[final_returns.GroupEnd]) -> str:
  """Returns the list of groups with their colours, letters and runs."""
  items = []
  for letter, end in zip(_letters(len(ends)).values(), ends):
    runs = ', '.join(
      run.run.name + (f' (seed {run.run.seed})' if run.run.seed else '')
      for run in end.runs
    )
    items.append(
      f'<li>{letter}<span><span class="label">'
      f'{html.escape(end.group.label)}</span><br>'
      f'<span class="soft">{html.escape(runs)}</span></span></li>'
    )
  return '<ul class="key">\n' + '\n'.join(items) + '\n</ul>'


def _no_difference(ends: Sequence[final_returns.GroupEnd]) -> str:
  """Says why no setting differs."""
  if all(run.run.settings is not None for end in ends for run in end.runs):
    return 'Nothing but the seed.'
  return 'Unknown: not all of these runs have a config.'


def _letters(count: int) -> dict[str, str]:
  """Returns the groups' letters in the colours of their curves, by letter."""
  names = tables_lib.letters(count)
  looks = [curves.look(index) for index in range(count)]
  return {
    name: f'<span class="letter {look["linestyle"]}"'
    f' style="background:{look["color"]}">{name}</span>'
    for name, look in zip(names, looks)
  }


def _table(
  table: tables_lib.Table, look: str, letters: Mapping[str, str]
) -> str:
  """Returns a table; on phones, one of `cards` has a card for each row.

  Args:
    table: The table.
    look: The class of its style.
    letters: What stands in place of the groups' letters.
  """
  header = ''.join(
    f'<th>{letters.get(name, html.escape(name))}</th>' for name in table.header
  )
  rows = []
  for row in table.rows:
    cells = [letters.get(row[0], _breakable(row[0]))]
    cells += map(html.escape, row[1:])
    rows.append(
      ''.join(
        f'<td data-name="{html.escape(name)}">{cell}</td>'
        for name, cell in zip(table.header, cells)
      )
    )
  body = '\n'.join(f'<tr>{row}</tr>' for row in rows)
  return (
    f'<div class="scroll"><table class="{look}">\n<thead><tr>{header}</tr>'
    f'</thead>\n<tbody>\n{body}\n</tbody></table></div>'
  )


def _breakable(name: str) -> str:
  """Returns a setting's name that may continue on the next line."""
  return re.sub(r'([._/])', r'\1<wbr>', html.escape(name))


def _films(
  ends: Sequence[final_returns.GroupEnd],
  films: Mapping[str, Sequence[films_lib.Film]],
) -> list[str]:
  """Returns the section of pictures and films; empty if there are none."""
  if not any(films.values()):
    return []
  parts = ['<h2>Pictures and films</h2>', '<div class="grid">']
  # The CSV files of several groups may share a folder.
  letters = {folder: {} for folder in films}
  for letter, end in zip(_letters(len(ends)).values(), ends):
    for run in end.runs:
      letters[run.run.folder][letter] = None
  for name, folder in zip(run_records.run_names(list(letters)), letters):
    for film in films[folder]:
      parts.append(
        f'<figure>{_film(film)}<figcaption>{" ".join(letters[folder])}'
        f' {html.escape(f"{name}/{film.name}")}</figcaption></figure>'
      )
  return [*parts, '</div>']


def _film(film: films_lib.Film) -> str:
  if not film.data_uri:
    return (
      f'<p class="missing">{film.size / 1e6:.1f} MB: left out, so that the page'
      ' can be mailed.</p>'
    )
  if film.mime_type.startswith('video/'):
    return (
      f'<video controls loop muted playsinline src="{film.data_uri}"></video>'
    )
  return f'<img alt="{html.escape(film.name)}" src="{film.data_uri}">'
