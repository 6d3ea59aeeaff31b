"""The figures of an experiment, as PDF and PNG."""
