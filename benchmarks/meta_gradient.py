"""Measures bias and variance of sampled meta-gradients for every surrogate.

  python benchmarks/meta_gradient.py --out=results/meta_gradient

The environment is a tabular MDP. For it, dynamic programming gives the exact
gradient of J(phi(theta)), where phi is theta after one adaptation step on
infinitely many episodes. A sample consists of n episodes before and n episodes
after adaptation. The baselines are the value functions of the unadapted and of
the exactly adapted policy.

The relative bias is |mean - exact| / |exact|. The relative standard deviation
is the root of the summed variances over |exact|. Writes meta_gradient.csv and
meta_gradient.png. The last line is JSON: for every n, the standard deviation of
dice over that of likelihood_ratio.
"""

import maml_tf  # noqa: F401  # isort: skip  Before TensorFlow, which it quiets.

import argparse
from collections.abc import Sequence
import csv
import json
import pathlib
from typing import NamedTuple

import matplotlib
import numpy as np
import tabular_mdp
import tensorflow as tf

from maml_tf.core import meta_batch
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import surrogates
from maml_tf.learning import task_map

matplotlib.use('Agg')
from matplotlib import pyplot  # noqa: E402  After the choice of backend.

# The surrogate and `first_order` of each estimator.
ESTIMATORS = {
  'likelihood_ratio': (surrogates.likelihood_ratio, False),
  'dice': (surrogates.dice, False),
  'log_likelihood': (surrogates.log_likelihood, False),
  'first_order': (surrogates.likelihood_ratio, True),
}
# The number of repeats that are vectorised together.
_CHUNK_SIZE = 50


class Quality(NamedTuple):
  """The quality of an estimator.

  Attributes:
    estimator: A key of `ESTIMATORS`.
    num_episodes: n.
    relative_bias: |mean - exact| / |exact|.
    bias_standard_error: The approximate value of `relative_bias` for an
      unbiased estimator.
    relative_std: Root of the summed variances over |exact|.
  """

  estimator: str
  num_episodes: int
  relative_bias: float
  bias_standard_error: float
  relative_std: float


def exact_meta_gradient(
  mdp: tabular_mdp.TabularMdp, theta: np.ndarray, step_size: float
) -> tuple[np.ndarray, np.ndarray]:
  """Returns phi and the gradient of J(phi(theta)), arrays [S, A]."""
  theta = tf.constant(theta)
  with tf.GradientTape() as tape:
    tape.watch(theta)
    phi = tabular_mdp.adapt_exactly(mdp, theta, 1, step_size)[-1]
    value = tabular_mdp.expected_return(mdp, phi)
  return phi.numpy(), tape.gradient(value, theta).numpy()


def state_values(mdp: tabular_mdp.TabularMdp, theta: np.ndarray) -> np.ndarray:
  """Returns the exact baseline V_t(s), an array [H, S]."""
  policy = tf.nn.softmax(theta)
  values = [
    tf.reduce_sum(policy * q, axis=-1)
    for q in tabular_mdp.action_values(mdp, theta)
  ]
  return np.stack(values)


def make_inner_loop(name: str, step_size: float) -> inner_loop_lib.InnerLoop:
  """Creates the inner loop of an estimator for one parameter [S, A]."""
  surrogate, first_order = ESTIMATORS[name]
  inner_loop = inner_loop_lib.InnerLoop(
    step_size=step_size, surrogate=surrogate, first_order=first_order
  )
  inner_loop.build([tf.Variable(tabular_mdp.policy_table())])
  return inner_loop


def adapt_all(
  theta: np.ndarray, support: meta_batch.Stage, step_size: float
) -> np.ndarray:
  """Adapts theta to each repeat's stage, leaves [R, T, ...] -> [R, S, A]."""
  inner_loop = make_inner_loop('first_order', step_size)

  def adapt(stage):
    parameters = (tf.constant(theta),)
    adapted = inner_loop.run(
      inner_loop_lib.Theta(parameters), [stage], tabular_mdp.evaluate
    )
    return adapted.parameters[0]

  return _map_repeats(adapt, support)


def meta_gradients(
  name: str,
  theta: np.ndarray,
  support: meta_batch.Stage,
  query: meta_batch.Stage,
  step_size: float,
) -> np.ndarray:
  """Returns each repeat's meta-gradient, computed like in a training run.

  Args:
    name: A key of `ESTIMATORS`.
    theta: An array [S, A].
    support: The stages that theta collected, leaves [R, T, ...].
    query: The stages that each repeat's adapted parameters collected, leaves
      [R, T, ...].
    step_size: The inner step size.

  Returns:
    An array [R, S, A] of gradients of the mean over frames.
  """
  inner_loop = make_inner_loop(name, step_size)

  def gradient(stages):
    parameters = tf.constant(theta)
    with tf.GradientTape() as tape:
      tape.watch(parameters)
      adapted = inner_loop.run(
        inner_loop_lib.Theta((parameters,)),
        [stages[0]],
        tabular_mdp.evaluate,
      )
      evaluated = tabular_mdp.evaluate(adapted.parameters, stages[1])
      log_prob = evaluated.distribution.log_prob(stages[1].action)
      value = surrogates.likelihood_ratio(log_prob, stages[1])
    return tape.gradient(value, parameters)

  return _map_repeats(gradient, (support, query))


def _map_repeats(function, stages):
  """Vectorises a function of one repeat's stages in a graph, for speed."""
  mapped = tf.function(
    lambda: task_map.vmap_in_chunks(function, stages, _CHUNK_SIZE),
    autograph=False,
  )
  return mapped.get_concrete_function()().numpy()


def measure(
  mdp: tabular_mdp.TabularMdp,
  step_size: float,
  sizes: Sequence[int],
  repeats: int,
  seed: int,
  use_baseline: bool = True,
) -> list[Quality]:
  """Measures all estimators, each on the same samples."""
  theta = tabular_mdp.policy_table()
  exact_phi, exact = exact_meta_gradient(mdp, theta, step_size)
  scale = np.linalg.norm(exact)
  before, after = 0.0, 0.0
  if use_baseline:
    before, after = state_values(mdp, theta), state_values(mdp, exact_phi)
  rng = np.random.default_rng(seed)
  qualities = []
  for size in sizes:
    thetas = np.broadcast_to(theta, [repeats, *theta.shape])
    episodes = tabular_mdp.sample_episodes(mdp, thetas, size, rng)
    support = tabular_mdp.stage(mdp, thetas, episodes, baseline=before)
    phis = adapt_all(theta, support, step_size)
    episodes = tabular_mdp.sample_episodes(mdp, phis, size, rng)
    query = tabular_mdp.stage(mdp, phis, episodes, baseline=after)
    for name in ESTIMATORS:
      # These are means over frames. The factor turns them into gradients of the
      # return.
      gradients = mdp.horizon * meta_gradients(
        name, theta, support, query, step_size
      )
      std = np.sqrt(np.sum(np.var(gradients, axis=0, ddof=1))) / scale
      bias = np.linalg.norm(np.mean(gradients, axis=0) - exact) / scale
      qualities.append(Quality(name, size, bias, std / np.sqrt(repeats), std))
      print(
        f'{name:>16}, {size:4d} episodes: relative bias {bias:.3f} '
        f'(sampling error {qualities[-1].bias_standard_error:.3f}), '
        f'relative standard deviation {std:.3f}'
      )
  return qualities


def draw(qualities: Sequence[Quality], path: pathlib.Path) -> None:
  """Draws bias and standard deviation against the number of episodes."""
  figure, panels = pyplot.subplots(1, 2, figsize=(9, 4), layout='constrained')
  for axes, column, title in zip(
    panels,
    ('relative_bias', 'relative_std'),
    ('relative bias', 'relative standard deviation'),
  ):
    for name in ESTIMATORS:
      own = [q for q in qualities if q.estimator == name]
      sizes = [q.num_episodes for q in own]
      # With these baselines the curves of the two biased estimators overlap.
      style = 'o--' if name == 'first_order' else 'o-'
      axes.plot(sizes, [getattr(q, column) for q in own], style, label=name)
    if column == 'relative_bias':
      errors = [
        q.bias_standard_error for q in qualities if q.estimator == 'dice'
      ]
      label = 'sampling error of dice'
      axes.plot(sizes, errors, ':', color='grey', label=label)
    axes.set_xscale('log')
    axes.set_yscale('log')
    axes.set_xlabel('episodes before, and after, adaptation')
    axes.set_title(title)
    axes.grid(alpha=0.3)
    axes.legend()
  figure.savefig(path, dpi=150)


def main(argv: Sequence[str] | None = None) -> None:
  """Measures, prints, and writes the table and the figure."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--out', required=True, help='a directory')
  parser.add_argument(
    '--sizes', type=int, nargs='+', default=[10, 30, 100, 300, 1000]
  )
  parser.add_argument('--repeats', type=int, default=400)
  parser.add_argument('--horizon', type=int, default=3)
  parser.add_argument('--step_size', type=float, default=2.0)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument(
    '--no_baseline', action='store_true', help='returns as advantages'
  )
  flags = parser.parse_args(argv)

  qualities = measure(
    tabular_mdp.three_states(flags.horizon),
    flags.step_size,
    flags.sizes,
    flags.repeats,
    flags.seed,
    not flags.no_baseline,
  )
  out = pathlib.Path(flags.out)
  out.mkdir(parents=True, exist_ok=True)
  with open(
    out / 'meta_gradient.csv', 'w', newline='', encoding='utf-8'
  ) as file:
    writer = csv.writer(file)
    writer.writerow(Quality._fields)
    writer.writerows(qualities)
  draw(qualities, out / 'meta_gradient.png')
  stds = {(q.estimator, q.num_episodes): q.relative_std for q in qualities}
  ratios = {
    str(size): round(stds['dice', size] / stds['likelihood_ratio', size], 3)
    for size in flags.sizes
  }
  print(json.dumps({'dice_std_over_likelihood_ratio_std': ratios}))


if __name__ == '__main__':
  main()
