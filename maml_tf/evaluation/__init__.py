"""Returns on held-out tasks, their statistics and the report."""

from maml_tf.evaluation.evaluator import Evaluation
from maml_tf.evaluation.evaluator import Evaluator
from maml_tf.evaluation.evaluator import PolicyEvaluation
