"""An experiment's results: its folder, the columns, per-film scores, tables."""
