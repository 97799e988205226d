"""Pure functions: likelihoods, divergences, adversarial losses."""
