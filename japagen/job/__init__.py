"""How a job begins and ends, alone or in a sweep.

Other rooms use: `sweep` (the sweep of the running job and its state folder) and `console`
(`plain_console` without markup, and `shown` for text from outside). `japagen.cli` uses `job.job`,
the frame of every job, and `command.command`, the frame of every command.
"""
