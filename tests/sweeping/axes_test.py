"""The values of a sweep's setting are parsed, or refused in one line."""

import math

import numpy as np
import pytest

from maml_tf.sweeping import axes


@pytest.mark.parametrize(
  ('text', 'setting', 'values'),
  [
    ('InnerLoop.step_size=0.1,0.3', 'InnerLoop.step_size', ('0.1', '0.3')),
    (' a/InnerLoop.step_size = 1 ', 'a/InnerLoop.step_size', ('1',)),
    ('step=1', 'step', ('1',)),
    # Commas in brackets and quotes divide nothing.
    (
      'f.x=(32, 32), [1, (2, 3)], {1: 2}',
      'f.x',
      ('(32, 32)', '[1, (2, 3)]', '{1: 2}'),
    ),
    ("f.x='a,b', \"c'),\"", 'f.x', ("'a,b'", '"c\'),"')),
    (r"f.x='a\',b',2", 'f.x', (r"'a\',b'", '2')),
    ('f.x=@Adam(),@SGD(),%m,None', 'f.x', ('@Adam()', '@SGD()', '%m', 'None')),
    ("f.x='a=b'", 'f.x', ("'a=b'",)),
  ],
)
def test_values_are_divided_at_commas(text, setting, values):
  assert axes.parse(text) == axes.Axis(setting, values)


@pytest.mark.parametrize(
  ('text', 'expected'),
  [
    ('f.x=log(1e-4,1e-2)', axes.Range('log', 1e-4, 1e-2)),
    ('f.x = uniform( -1 , 2.5 )', axes.Range('uniform', -1, 2.5)),
    ('f.x=integer(1,5)', axes.Range('integer', 1, 5)),
  ],
)
def test_ranges(text, expected):
  assert axes.parse(text) == axes.Axis('f.x', (), expected)


@pytest.mark.parametrize(
  ('text', 'part'),
  [
    ('f.x', 'sets nothing'),
    ('=1,2', 'sets nothing'),
    ('f x=1', 'sets nothing'),
    ('f.x=', 'empty value'),
    ('f.x=1,,2', 'empty value'),
    ('f.x=1,2,1', 'has 1 twice'),
    ('f.x=(1,2', ') is missing'),
    ("f.x='a,2", "' is missing"),
    ('f.x=1),2', 'nothing opens'),
    ('f.x=log(0,1)', 'above 0'),
    ('f.x=uniform(2,1)', 'low end below'),
    ('f.x=uniform(0,inf)', 'finite'),
    ('f.x=integer(1,2.5)', 'an integer'),
    ('f.x=log(a,b)', 'a number'),
    ('train_eval.seed=1,2', 'give --seeds'),
  ],
)
def test_faults_are_named(text, part):
  with pytest.raises(ValueError, match=r'^--set ') as error:
    axes.parse(text)
  assert part in str(error.value) and '\n' not in str(error.value)


def test_rounded_draws_stay_in_narrow_ranges():
  rng = np.random.default_rng(0)
  for kind, low, high in (
    ('uniform', 0.99, 0.99999),
    ('uniform', 0.123456, 0.1234561),
    ('log', 1.00001, 1.00002),
    ('uniform', 1, math.nextafter(1, 2)),
  ):
    texts = [axes.Range(kind, low, high).draw(rng) for _ in range(200)]
    assert all(low <= float(text) <= high for text in texts)


def test_draws_stay_in_their_range_and_are_short():
  rng = np.random.default_rng(0)
  for kind, low, high in (('log', 1e-4, 1e-2), ('uniform', -1, 1)):
    texts = [axes.Range(kind, low, high).draw(rng) for _ in range(200)]
    numbers = np.array([float(text) for text in texts])
    assert low <= numbers.min() and numbers.max() <= high
    assert max(map(len, texts)) <= 10
  # The middle of the logarithm is 1e-3.
  numbers = [float(axes.Range('log', 1e-4, 1e-2).draw(rng)) for _ in range(999)]
  assert 0.4 < np.mean(np.array(numbers) < 1e-3) < 0.6
  integers = {axes.Range('integer', 1, 3).draw(rng) for _ in range(100)}
  assert integers == {'1', '2', '3'}
