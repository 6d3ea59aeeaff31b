"""A progress line for the tools: rewritten in place on a terminal, a line for each tenth elsewhere."""

import sys


def show_progress(what: str, done: int, total: int) -> None:
    """Prints e.g. `films: 40 of 186` to stdout; call with done from 0 to total."""
    text = f"{what}: {done:,} of {total:,}"
    if sys.stdout.isatty():
        print(f"\r{text}", end="\n" if done == total else "", flush=True)
    elif done and (done == total or done * 10 // total != (done - 1) * 10 // total):
        print(text, flush=True)
