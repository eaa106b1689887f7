"""Exports a trained agent as a SavedModel or TFLite model, which adapts."""

from maml_tf.serving.lite import check_lite_directory
from maml_tf.serving.lite import save_adaptive_lite
from maml_tf.serving.lite import save_fixed_task_lite
from maml_tf.serving.saved_model import check_directory
from maml_tf.serving.saved_model import load_parameters
from maml_tf.serving.saved_model import save_adaptive
from maml_tf.serving.saved_model import save_fixed_task
from maml_tf.serving.versions import Version
from maml_tf.serving.versions import parse as parse_version
