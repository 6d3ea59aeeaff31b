"""Looking at synthetic sets: realism, diversity, copies of training films."""
