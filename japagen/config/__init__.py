"""The options of a job as dataclasses, and the checks of their values.

Other rooms use: `schema` (the commands' dataclasses, each group's dataclass, CONF), `task` (Task),
`choice` (allowed values), `error` (UserError), and, once per job, `check.check`. Each group's
options and checks are in the module of its name: conf/data/ is described by `config/data.py`.
"""
