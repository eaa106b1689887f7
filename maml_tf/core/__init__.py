"""What every room stands on: data, parameters, distributions, randomness."""
