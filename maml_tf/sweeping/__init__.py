"""Many runs from one command: grids and random draws of settings, in jobs."""
