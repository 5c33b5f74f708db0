"""How far a scenario may push: below these a price or a volatility is not moved."""

LEAST_VOL = 0.01
"""Annual fraction; an option that is calmer already keeps its own."""
LEAST_FACTOR = 0.01
"""Of a price: a high beta times a crash leaves one per cent, not a negative price."""
