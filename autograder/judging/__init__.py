"""How values are compared: tests with proved bounds, numbers that carry their rounding error. Numpy and scipy alone."""
