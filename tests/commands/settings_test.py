"""The list of all settings: defaults, owners, what files set."""

import re

from tests import command_lines


def test_lists_what_files_set_beside_the_defaults(capsys):
  code = command_lines.call(
    'settings',
    gin_file=['point.gin', 'maml_trpo.gin'],
    gin_bindings=[
      'MamlAgent.discount = %rate',
      'rate = 0.5',
      's/dice.exact = 1',
    ],
  )
  assert code == 0
  out, err = capsys.readouterr()
  assert err == ''
  lines = out.splitlines()
  # The owners come with their module and the first line of their docstring.
  assert lines[0] == (
    '# train_eval (maml_tf.experiment): Trains an agent, from the beginning or'
    ' from the last checkpoint.'
  )
  assert (
    'train_eval.num_iterations = 100  # Default: None. The number of'
    ' meta-iterations of the whole run.'
  ) in lines
  # A default that no file sets, of something that no file uses.
  assert any(
    line.startswith('dice.causal_discount = 1.0  # w in [0, 1]')
    for line in lines
  )
  assert any(line.startswith('MamlAgent.discount = %rate') for line in lines)
  assert 's/dice.exact = 1' in lines
  assert lines[-1] == 'rate = 0.5'
  owners = re.findall(r'(?m)^# (\w+) \(', out)
  assert len(owners) == len(set(owners))
  assert {'PointNavigation', 'TrustRegionUpdate', 'Adam'} <= set(owners)
  # Others' own settings, and what a run supplies, are no settings here.
  assert 'tf_agents.' not in out
  assert 'train_eval.root_dir' not in out
  assert 'create_actor_network.action_spec' not in out
  assert all(re.match(r'#|$|[\w/]+(\.\w+)? = ', line) for line in lines)


def test_a_missing_file_is_one_line(capsys):
  assert command_lines.call('settings', gin_file=['no.gin']) == 2
  out, err = capsys.readouterr()
  assert out == '' and err.startswith('settings: no.gin does not exist')
  assert err.count('\n') == 1
