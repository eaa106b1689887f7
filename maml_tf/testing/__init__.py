"""Checks that users' tests can call."""

from maml_tf.testing.task_environment_check import check_task_environment
