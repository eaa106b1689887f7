"""The shipped gin files: experiments, and algorithms that need one."""

EXPERIMENTS = (
  'ant_direction.gin',
  'ant_goal.gin',
  'ant_planar_direction.gin',
  'ant_velocity.gin',
  'cartpole_mass.gin',
  'cheetah.gin',
  'cheetah_body.gin',
  'cheetah_mass.gin',
  'cheetah_velocity.gin',
  'cheetah_velocity_3.gin',
  'hopper_random_dynamics.gin',
  'humanoid_direction.gin',
  'pendulum_mass.gin',
  'point.gin',
  'sparse_point.gin',
  'swimmer_velocity.gin',
  'walker_direction.gin',
  'walker_random_dynamics.gin',
  'walker_velocity.gin',
)

# Experiments that differ from another in their task and a few numbers.
VARIANTS = (
  'ant_planar_direction.gin',
  'ant_velocity.gin',
  'cheetah_body.gin',
  'cheetah_mass.gin',
  'cheetah_velocity_3.gin',
)

# Pass one after a run's recorded config.
REFERENCES = ('oracle.gin', 'pretrained.gin')

# They need the extra `metaworld`.
META_WORLD = ('ml1.gin', 'ml10.gin', 'ml45.gin')

# Pass each as a second --gin_file, after an experiment's.
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
