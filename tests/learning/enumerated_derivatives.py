"""The policy gradient and the Hessian of a tabular MDP, summed over episodes.

Computed in numpy from hand-written derivatives of a softmax table, without a
tape. P is S * A, the number of the policy's parameters; other letters as in
`tabular_mdp`.
"""

from collections.abc import Callable
import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from benchmarks import tabular_mdp
from maml_tf.learning import inner_loop as inner_loop_lib
from maml_tf.learning import surrogates


class HessianTerms(NamedTuple):
  """The parts of the expected return's Hessian, arrays [P, P].

  This is ProMP's decomposition (arXiv:1810.06784), J'' = H1 + H2 + H12 + H12^T,
  with l_t = log pi(a_t|s_t) and the advantage A_t.

  Attributes:
    h1: E sum_t A_t grad l_t grad l_t^T.
    h2: E sum_t A_t hess l_t.
    h12: E sum_t A_t grad l_t sum_{t' < t} grad l_t'^T.
  """

  h1: np.ndarray
  h2: np.ndarray
  h12: np.ndarray


class Known(NamedTuple):
  """A surrogate and its exact Hessian.

  Attributes:
    surrogate: (log_prob, stage) -> scalar.
    hessian: `HessianTerms` -> H times the surrogate's Hessian, [P, P].
  """

  surrogate: inner_loop_lib.Surrogate
  hessian: Callable[[HessianTerms], np.ndarray]


SURROGATES = {
  'dice': Known(surrogates.dice, lambda h: h.h1 + h.h2 + _both_ways(h.h12)),
  'likelihood_ratio': Known(surrogates.likelihood_ratio, lambda h: h.h1 + h.h2),
  'clipped_likelihood_ratio': Known(
    functools.partial(surrogates.clipped_likelihood_ratio, clip_ratio=0.2),
    lambda h: h.h1 + h.h2,
  ),
  'log_likelihood': Known(surrogates.log_likelihood, lambda h: h.h2),
}


def log_policy_derivatives(theta) -> tuple[np.ndarray, np.ndarray]:
  """Gradient [S, A, P] and Hessian [S, A, P, P] of log pi(a|s), by hand."""
  policy = tf.nn.softmax(theta).numpy()
  num_states, num_actions = policy.shape
  gradient = np.zeros([num_states, num_actions, num_states, num_actions])
  hessian = np.zeros([*gradient.shape, num_states, num_actions])
  for s in range(num_states):
    gradient[s, :, s] = np.eye(num_actions) - policy[s]
    hessian[s, :, s, :, s] = np.outer(policy[s], policy[s]) - np.diag(policy[s])
  size = policy.size
  return (
    gradient.reshape(num_states, num_actions, size),
    hessian.reshape(num_states, num_actions, size, size),
  )


def policy_gradient(
  mdp: tabular_mdp.TabularMdp, theta, baseline: np.ndarray | float = 0.0
) -> np.ndarray:
  """E sum_t A_t grad log pi_t over all episodes, [P]."""
  episodes = tabular_mdp.all_episodes(mdp)
  return np.einsum(
    'e,et,eti->i',
    tabular_mdp.probability(mdp, theta, episodes),
    tabular_mdp.advantage(mdp, episodes, baseline),
    log_policy_derivatives(theta)[0][episodes.states, episodes.actions],
  )


def hessian_terms(
  mdp: tabular_mdp.TabularMdp,
  theta,
  baseline: np.ndarray | float = 0.0,
  decay: float = 1.0,
) -> HessianTerms:
  """The parts of the Hessian of J, expectations over all episodes.

  Args:
    mdp: The MDP.
    theta: An array [S, A].
    baseline: As for `tabular_mdp.advantage`.
    decay: A cross term of t and an earlier t' counts decay^(t - t'); 1 in J''.

  Returns:
    A `HessianTerms`.
  """
  probability = tabular_mdp.probability(
    mdp, theta, tabular_mdp.all_episodes(mdp)
  )
  terms = episode_hessian_terms(mdp, theta, baseline, decay)
  return HessianTerms(*(np.tensordot(probability, h, axes=1) for h in terms))


def episode_hessian_terms(
  mdp: tabular_mdp.TabularMdp,
  theta,
  baseline: np.ndarray | float = 0.0,
  decay: float = 1.0,
) -> HessianTerms:
  """The contribution of each episode to `hessian_terms`, arrays [E, P, P]."""
  episodes = tabular_mdp.all_episodes(mdp)
  advantage = tabular_mdp.advantage(mdp, episodes, baseline)
  gradients, hessians = (
    table[episodes.states, episodes.actions]
    for table in log_policy_derivatives(theta)
  )
  h12 = sum(
    decay ** (later - earlier)
    * np.einsum(
      'e,ei,ej->eij',
      advantage[:, later],
      gradients[:, later],
      gradients[:, earlier],
    )
    for later in range(mdp.horizon)
    for earlier in range(later)
  )
  return HessianTerms(
    h1=np.einsum('et,eti,etj->eij', advantage, gradients, gradients),
    h2=np.einsum('et,etij->eij', advantage, hessians),
    h12=h12,
  )


def _both_ways(matrices):
  return matrices + np.swapaxes(matrices, -1, -2)
