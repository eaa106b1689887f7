"""Numbers of NumPy 2 are written as those of NumPy 1 were."""

import numpy as np
import pytest

from maml_tf.core import checks
from maml_tf.core import plain_texts
from maml_tf.environments import tasks


@pytest.mark.parametrize(
  'value, text',
  [
    (np.float64(0.1), '0.1'),
    (np.float32(0.1), '0.1'),
    (np.int64(-3), '-3'),
    (np.True_, 'True'),
    (np.str_('a'), "'a'"),
    ((np.int32(1), [np.float64('nan')]), '(1, [nan])'),
    ({np.str_('a'): np.float64('inf')}, "{'a': inf}"),
    (np.array([1.5, 2]), 'array([1.5, 2. ])'),
    (0.1, '0.1'),
    ('a\nb', "'a\\nb'"),
    (None, 'None'),
  ],
)
def test_numbers_are_plain(value, text):
  assert plain_texts.of(value) == text


def test_the_callers_options_stay():
  with np.printoptions(precision=2):
    assert plain_texts.of(np.array([1 / 3])) == 'array([0.33])'
    assert repr(np.array([1 / 3])) == 'array([0.33])'
    before = np.get_printoptions()
    plain_texts.writing(repr)(np.float64(1))
    assert np.get_printoptions() == before


def test_tasks_are_named_by_plain_numbers():
  assert tasks.name(('hill', np.float64(0.5))) == "('hill', 0.5)"
  assert tasks.name({'mass': np.float32(2)}) == "{'mass': 2.0}"


def test_messages_name_plain_numbers():
  with pytest.raises(ValueError, match='^horizon is 0: give an integer'):
    checks.integer('horizon', np.int64(0), 1)
  with pytest.raises(ValueError, match='^step_size is -0.5: give a finite'):
    checks.number('step_size', np.float32(-0.5), above=0)
