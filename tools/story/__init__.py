"""The story that `make demo`, the end-to-end tests and the fault tests tell: the same steps on the same real data."""
