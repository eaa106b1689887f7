"""The calls from the command line to the outer tape are few and documented."""

import pathlib
import re
import traceback

import maml_tf
from maml_tf.learning import meta_learner
from maml_tf.learning import one_task
from tests import command_lines

_PACKAGE = pathlib.Path(maml_tf.__file__).parent
_DOCUMENT = _PACKAGE.parent / 'docs' / 'architecture.md'


def test_twelve_calls_lead_to_the_outer_tape(monkeypatch, tmp_path):
  learning = _record_calls(monkeypatch, meta_learner.MetaLearner, 'run')
  tracing = _record_calls(monkeypatch, one_task.OneTask, 'meta_gradient')
  sizes = ('num_iterations', 'num_tasks', 'episodes_per_task', 'horizon')
  code = command_lines.call(
    'train',
    gin_file=['point.gin'],
    gin_bindings=[f'train_eval.{name} = 1' for name in sizes]
    + ['create_actor_network.fc_layer_params = (4,)']
    + ['train_eval.export_saved_model = False'],
    root_dir=str(tmp_path / 'run'),
  )
  assert code == 0
  # The compiled step is traced before the loop begins.
  step = tracing[0].index('_train_on_replicas')
  calls = learning[0] + tracing[0][step:]
  assert calls == _documented()
  assert len(calls) <= 12


def _record_calls(monkeypatch, owner, name):
  """Records, for each call of a method, the functions that led to it."""
  recorded, method = [], getattr(owner, name)

  def record(*args):
    calls = [
      frame.name
      for frame in traceback.extract_stack()
      if pathlib.Path(frame.filename).is_relative_to(_PACKAGE)
      and not frame.filename.endswith('config_arguments.py')
    ]
    recorded.append([*calls, name])
    return method(*args)

  monkeypatch.setattr(owner, name, record)
  return recorded


def _documented():
  """The functions that the document lists, without modules and classes."""
  section = _DOCUMENT.read_text(encoding='utf-8').split('## From `main`')[1]
  names = re.findall(r'(?m)^\d+\. `([\w.]+)`', section.split('\n## ')[0])
  return [name.rpartition('.')[2] for name in names]
