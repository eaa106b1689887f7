"""The gin files that ship, and which of them need another one."""

EXPERIMENTS = ('cheetah.gin', 'cheetah_velocity.gin', 'point.gin')

# Each is to be named after an experiment.
ALGORITHMS = (
  'anil.gin',
  'cavia.gin',
  'dice.gin',
  'emaml.gin',
  'fomaml.gin',
  'maml_trpo.gin',
  'maml_vpg.gin',
  'meta_sgd.gin',
  'promp.gin',
  'reptile.gin',
  'rllib_maml.gin',
)
