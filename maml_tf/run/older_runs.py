"""Lets runs that older versions began go on with today's shipped configs."""

import gin
from gin import config as gin_config

from maml_tf.core import terminal
from maml_tf.run import config_record

# Settings that shipped configs have got, and the values of runs from before.
_ADDED = {'LinearFeatureBaseline.zero_at_end': False}


def keep_settings(root_dir: str) -> None:
  """Removes bindings that the run's config did not have when it began.

  A run keeps the numbers that it was begun with: only
  `--allow_config_change` changes them. What is removed is told.

  Args:
    root_dir: The run's folder, which need not exist.
  """
  there = config_record.recorded(root_dir) or {}
  bound = config_record.bound(root_dir) or ()
  for name, former in _ADDED.items():
    owner, _, parameter = name.rpartition('.')
    # A run that did not use the owner has none of its parameters.
    is_used = any(n.startswith(f'{owner}.') for n in there)
    was_bound = name in bound or there.get(name) not in (None, repr(former))
    if not is_used or was_bound:
      continue
    selector = gin.config.ParsedBindingKey.parse(name).complete_selector
    bindings = gin_config._CONFIG.get(('', selector), {})
    if bindings.get(parameter, former) != former:
      del bindings[parameter]
      terminal.log(
        f'{root_dir} was begun without {name}, and goes on without it'
      )
