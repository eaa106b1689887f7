"""Evaluates on held-out tasks: returns, statistics and a report."""

from maml_tf.evaluation.evaluator import Evaluation
from maml_tf.evaluation.evaluator import Evaluator
from maml_tf.evaluation.evaluator import PolicyEvaluation
