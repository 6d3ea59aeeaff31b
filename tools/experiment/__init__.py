"""The whole comparison as one plan of tasks."""
