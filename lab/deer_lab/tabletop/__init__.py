"""The tabletop world: a desk, an arm, tasks in words, and the judging of five in a row."""
