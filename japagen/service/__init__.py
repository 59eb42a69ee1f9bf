"""`japagen serve`: a saved student that answers over HTTP."""
