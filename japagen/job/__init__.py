"""How a job begins and ends, alone or in a sweep."""
