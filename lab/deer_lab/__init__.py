"""Makes the models that `deer_vla` runs, and the simulated world it runs them in."""
