"""A trained segmenter at work: loading, sliding window, scoring, predicting."""
