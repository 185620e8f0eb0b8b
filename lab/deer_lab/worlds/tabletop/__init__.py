"""The tabletop: a desk, an arm and 34 tasks in words."""
