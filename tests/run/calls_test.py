"""From the command line to the outer tape: few calls, and documented ones."""

import pathlib
import re
import traceback

import maml_tf
from maml_tf.learning import one_task
from tests import command_lines

_PACKAGE = pathlib.Path(maml_tf.__file__).parent
_DOCUMENT = _PACKAGE.parent / 'docs' / 'architecture.md'


def test_twelve_calls_lead_to_the_outer_tape(monkeypatch, tmp_path):
  stacks = []
  meta_gradient = one_task.OneTask.meta_gradient

  def recorded(*args):
    stacks.append(traceback.extract_stack())
    return meta_gradient(*args)

  monkeypatch.setattr(one_task.OneTask, 'meta_gradient', recorded)
  sizes = ('num_iterations', 'num_tasks', 'episodes_per_task', 'horizon')
  code = command_lines.call(
    'train',
    gin_file=['point.gin'],
    gin_bindings=[f'train_eval.{name} = 1' for name in sizes]
    + ['create_actor_network.fc_layer_params = (4,)'],
    root_dir=str(tmp_path / 'run'),
  )
  assert code == 0
  # The graph may also be made before the loop, by fewer calls.
  longest = max(map(_calls, stacks), key=len)
  assert [*longest, 'meta_gradient'] == _documented()
  assert len(longest) < 12


def _calls(stack):
  """The functions of the package in a stack, from the outside in."""
  return [
    frame.name
    for frame in stack
    if pathlib.Path(frame.filename).is_relative_to(_PACKAGE)
  ]


def _documented():
  """The functions that the document lists, without modules and classes."""
  section = _DOCUMENT.read_text(encoding='utf-8').split('## From `main`')[1]
  names = re.findall(r'(?m)^\d+\. `([\w.]+)`', section.split('\n## ')[0])
  return [name.rpartition('.')[2] for name in names]
