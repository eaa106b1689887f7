"""Records what a collector gave as inputs of `serving_client`."""

import numpy as np


def record(path, collected):
  """Writes the support stages and the first frames of the query."""
  arrays = {'query.observation': collected.meta_batch.query.observation[:, 0]}
  for step, stage in enumerate(collected.meta_batch.support):
    info = {f'policy_info_0_{k}': t for k, t in stage.policy_info[0].items()}
    frames = stage._asdict() | info
    del frames['policy_info']
    arrays |= {f'{step}.{name}': t.numpy() for name, t in frames.items()}
  np.savez(
    path,
    batch_size=len(collected.tasks),
    num_adaptation_steps=len(collected.meta_batch.support),
    **arrays,
  )
