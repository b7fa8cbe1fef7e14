"""Training: one D step and one G step, for a level alone or for the whole stack."""
