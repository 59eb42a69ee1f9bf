"""Charts of score against speed."""

from __future__ import annotations

from tests.report.stores import Store, reported


def metrics(**speeds: float) -> dict[str, float]:
    """The metrics of a run that measured backends: rows per second, and a score that tells them."""
    found = {f"speed/{name}/batched": value for name, value in speeds.items()}
    found |= {f"speed/{name}/score": 0.5 + value / 10_000 for name, value in speeds.items()}
    return {**found, "speed/torch/p50_ms": 3.0, "score": 0.6}


def test_each_backend_is_a_mark_and_the_llm_the_last() -> None:
    store = Store()
    store.train("jnli", "gold", 0, 0.6)
    tags = {"stage": "evaluate", "subject": "student", "folder": "/a"}
    store.add("jnli", tags, metrics(torch=1.0, onnx=9.0))
    store.add("jnli", tags, metrics(torch=30.0, onnx_int8=60.0, prompted=0.5))
    store.add("jnli", {**tags, "folder": "/b"}, metrics(torch=40.0))
    store.add("jsts", {**tags, "folder": "/c"}, metrics(torch=40.0))
    (chart,) = reported(store).speed  # the one mark of jsts needs no chart
    assert [one.name for one in chart.series] == ["onnx_int8", "torch", "LLM prompted"]
    assert [point.x for point in chart.series[1].points] == [30.0, 40.0]
    assert chart.series[2].points[0].y == 0.50005
    assert chart.log
    assert not chart.line
