"""Programs end with one line on stderr and an exit code."""

from maml_tf.core import terminal


def test_errors_are_one_line_and_a_code(capsys):
  assert terminal.print_error('train', ValueError('no\n  In call to x')) == 2
  assert terminal.print_error('export', 'stopped', 130) == 130
  terminal.log('a line')
  assert capsys.readouterr() == ('', 'train: no\nexport: stopped\na line\n')
