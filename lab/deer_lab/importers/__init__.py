"""Published checkpoints to a bundle, or to a run's folder to train on from; docs/models.md is the user's page."""
