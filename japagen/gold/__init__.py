"""Gold data: where the files are, how their rows are read, and scores beside the majority class.

For other rooms: `example.Example`, `load.load`, `load.draw_shots`, `fetch.GoldMissing`,
`metric.scores`, `metric.majority`.
"""
