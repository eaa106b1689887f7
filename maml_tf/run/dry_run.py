"""Builds a run's parts from the config of gin, without training or writing."""

from maml_tf.core import errors
from maml_tf.run import experiment
from maml_tf.run import settings as settings_lib
from maml_tf.run import unused_settings


def check() -> settings_lib.Settings:
  """Builds the agent and an environment of one episode.

  What shows up only once the agent learns is not found: arrays that do not fit
  together, and sizes that do not divide.

  Returns:
    The run's settings.

  Raises:
    errors.UsageError: A setting is wrong.
  """
  with errors.usage_errors():
    settings = settings_lib.Settings(**experiment.bound_arguments())
    settings_lib.check(settings)
    environment = experiment.create_environment(
      settings.environment_class,
      settings.observe_task,
      num_tasks=1,
      environments_per_task=1,
      horizon=settings.horizon,
    )
    try:
      experiment.create_agent(
        settings.agent_class,
        settings.actor_network_fn,
        settings.value_network_fn,
        environment,
      )
    finally:
      environment.close()
    unused_settings.check()
  return settings
