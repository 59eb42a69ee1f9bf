"""`japagen predict`: label the rows of a file with a saved student; a killed job resumes."""
