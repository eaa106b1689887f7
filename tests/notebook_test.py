"""The notebook runs from top to bottom, as in Jupyter."""

import os
import pathlib
import sys

import pytest

nbformat = pytest.importorskip('nbformat', reason="pip install '.[notebook]'")
nbclient = pytest.importorskip('nbclient', reason="pip install '.[notebook]'")

_FOLDER = pathlib.Path(__file__).parent.parent / 'notebooks'


@pytest.fixture(name='notebook')
def read_notebook():
  notebook = nbformat.read(_FOLDER / 'start.ipynb', as_version=4)
  nbformat.validate(notebook)
  return notebook


def _texts(cell):
  """What a cell has printed and shown."""
  return ''.join(
    output.get('text', '') or output['data'].get('text/plain', '')
    for output in cell['outputs']
  )


def test_it_is_committed_without_outputs(notebook):
  for cell in notebook.cells:
    assert not cell.get('outputs'), cell.source
    assert cell.get('execution_count') is None


@pytest.mark.slow
def test_all_cells_run(notebook, tmp_path, monkeypatch):
  monkeypatch.setenv('TMPDIR', str(tmp_path))
  paths = [str(_FOLDER.parent), os.environ.get('PYTHONPATH', '')]
  monkeypatch.setenv('PYTHONPATH', os.pathsep.join(filter(None, paths)))
  # The kernel of this Python, whatever others there are.
  name = 'tested'
  kernels = tmp_path / 'kernels' / name
  kernels.mkdir(parents=True)
  command = [sys.executable, '-m', 'ipykernel_launcher', '-f']
  words = ', '.join(f'"{word}"' for word in [*command, '{connection_file}'])
  (kernels / 'kernel.json').write_text(
    f'{{"argv": [{words}], "display_name": "{name}", "language": "python"}}',
    encoding='utf-8',
  )
  monkeypatch.setenv('JUPYTER_PATH', str(tmp_path))
  nbclient.NotebookClient(
    notebook,
    timeout=280,
    kernel_name=name,
    resources={'metadata': {'path': str(_FOLDER)}},
  ).execute()
  shown = [_texts(cell) for cell in notebook.cells if cell.cell_type == 'code']
  assert any('train: return on 20 held-out tasks' in text for text in shown)
  assert any('acts and adapts, after 15 iterations' in text for text in shown)
