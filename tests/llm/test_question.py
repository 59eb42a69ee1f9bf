"""What the LLM is asked about a row, and what its replies mean."""

from __future__ import annotations

import dataclasses
import math

import pytest

from japagen.config.check import check
from japagen.config.error import UserError
from japagen.config.schema import CONF, EvaluateConfig
from japagen.config.task import Task, Wording
from japagen.llm import question
from japagen.llm.logprobs import text_of
from tests.conftest import Compose
from tests.weather import shipped

TASKS = sorted(path.stem for path in (CONF / "task").glob("*.yaml"))


def task(composed: Compose, name: str) -> Task:
    return check(composed("evaluate", f"task={name}"), EvaluateConfig).task


@pytest.mark.slow
@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("own", [True, False])
def test_every_task_asks_with_every_label_and_shows_the_shots_before(
    composed: Compose, name: str, own: bool
) -> None:
    asked = task(composed, name)
    assert asked.question is not None
    asked = asked if own else dataclasses.replace(asked, question=None)
    texts, shots = (
        ["甲の文。", "乙の文。"][: len(asked.inputs)],
        [(["丙の文。", "丁の文。"][: len(asked.inputs)], asked.labels[-1])],
    )
    chat = question.request(asked, texts, shots, True, 400)
    keys = list(question.choices(asked))
    assert chat.choices == tuple(keys)
    assert chat.temperature == 0.0
    roles = [message["role"] for message in chat.messages]
    assert roles == ["system", "user", "assistant", "user"]
    assert all(
        f"{key}：{question.wording(asked).labels[label]}" in chat.messages[0]["content"]
        for key, label in question.choices(asked).items()
    )
    assert (chat.messages[2]["content"], "丙の文。" in chat.messages[1]["content"]) == (
        keys[-1],
        True,
    )
    assert texts[-1] in chat.messages[3]["content"]
    assert question.read(keys[-1], asked) == asked.labels[-1]
    base = question.request(asked, texts, shots, False, 400)
    assert not base.messages
    assert base.text.endswith(f"{texts[-1]}\n{question.ANSWER}")
    assert f"{question.ANSWER}{keys[-1]}\n" in base.text


def test_long_texts_are_cut_so_that_the_answer_stays_in_view(composed: Compose) -> None:
    text = question.request(
        task(composed, "news"), ["長" * 1000], [(["古" * 1000], "peachy")], False, 50
    ).text
    assert (text.count("長"), text.count("古")) == (50, 50)


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("2", "contradiction"),
        (" 3\n", "neutral"),
        ("１。", "entailment"),
        ("2. 文2は文1と食い違う", "contradiction"),
        ("答えは2です。", "contradiction"),
        ("文1と文2を比べると、3です。", "neutral"),
        ("<think>1か2か。</think>\n2", "contradiction"),
        ("1か2のどちらか", "entailment"),
        ("番号は1か2です", None),
        ("7", None),
        ("わかりません。", None),
        ("", None),
    ],
)
def test_a_reply_is_a_label_or_nothing(composed: Compose, reply: str, label: str | None) -> None:
    jnli = task(composed, "jnli")
    assert jnli.question is not None
    jnli.question.answers = {}
    assert question.read(reply, jnli) == label


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ("女性", "peachy"),
        ("独身女性。", "dokujo-tsushin"),
        ("答えは「映画」です。", "movie-enter"),
        ("映画か話題", None),
        ("1", None),
        ("", None),
    ],
)
def test_a_word_is_found_in_its_whole_length(
    composed: Compose, reply: str, label: str | None
) -> None:
    assert question.read(reply, task(composed, "news")) == label


def test_a_level_is_a_number_and_the_probabilities_give_the_mean(composed: Compose) -> None:
    jsts = task(composed, "jsts")
    assert [question.read(reply, jsts) for reply in ("4", "3.5", "-1", "6", "似ている")] == [
        "4",
        "3.5",
        None,
        None,
        None,
    ]
    top = {"0": math.log(0.2), "5": math.log(0.2), "犬": math.log(0.6)}
    assert question.expected(top, jsts) == pytest.approx(2.5)
    assert question.expected({"犬": 0.0}, jsts) is None
    assert question.request(jsts, ["a", "b"], [], True, 9).top == question.TOP
    halves = dataclasses.replace(jsts, labels=["0.0", "0.5", "1.0"])
    assert question.expected({"0": -0.5, "1": -1.0}, halves) is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("~task.question.labels.neutral", "question.labels has no text for label 'neutral'"),
        (
            "+task.question.labels.neutrl=x",
            "question.labels has 'neutrl', which is not in labels; did you mean 'neutral'?",
        ),
        (
            "task.question.answers.neutral='矛盾'",
            "question.answers must have a different word for each label, or be left out",
        ),
        ("subject=student", "subject=student needs the student: add student.path=FOLDER"),
        ("limit=0", "limit is 0"),
        ("max_chars=0", "max_chars is 0"),
        ("student.batch_size=0", "student.batch_size is 0"),
    ],
)
def test_check_names_the_problem(composed: Compose, override: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        check(composed("evaluate", override), EvaluateConfig)
    assert message in str(caught.value)


def test_a_first_token_tells_the_answer_that_it_begins() -> None:
    task = shipped("marc_ja")  # 満足, 不満
    half = text_of({"token": "\ufffd", "bytes": list("満".encode()[:2])})
    shares = question.probabilities({half: math.log(0.6), "不": math.log(0.2), "。": -3.0}, task)
    assert shares == pytest.approx((0.75, 0.25))
    assert question.probabilities({"。": -1.0, "": -2.0}, task) == ()
    only = question.probabilities({"満足": math.log(0.9), "。": math.log(0.01)}, task)
    assert only == pytest.approx((0.9 / 0.91, 0.01 / 0.91)), "an absent answer: the least token"


def test_a_certain_answer_leaves_nothing_for_the_others() -> None:
    task = shipped("marc_ja")
    for top in ({"不満": 0.0}, {"不満": math.log(0.97), "満足": math.log(0.03)}):
        found = question.probabilities(top, task)
        assert question.label("不満", found, task) == "negative"
        assert found[1] == pytest.approx(math.exp(top["不満"]), abs=1e-5)


def test_a_token_that_begins_several_answers_counts_for_none() -> None:
    task = shipped("news")  # 男性, 女性, 独身女性 and others
    shares = question.probabilities({"女": math.log(0.5), "独": math.log(0.4), "": -9.0}, task)
    assert max(shares) == shares[task.labels.index("peachy")]


def test_answers_that_the_first_token_does_not_tell_apart_have_no_probabilities() -> None:
    labels = [f"w{number}" for number in range(1, 11)]  # answered by 1 to 10
    wording = Wording(labels=dict.fromkeys(labels, ""))
    task = dataclasses.replace(shipped("jcola"), labels=labels, question=None, wording=wording)
    mostly_ten = {"1": math.log(0.9), "2": math.log(0.1)}
    assert question.probabilities(mostly_ten, task) == ()
    mostly_two = {"1": math.log(0.1), "2": math.log(0.8), "3": math.log(0.1)}
    found = question.probabilities(mostly_two, task)
    assert max(found) == found[1]
    assert question.probabilities({"x": 0.0}, task) == ()


def test_an_absent_answer_is_at_most_as_likely_as_the_least_token_of_the_whole_reply() -> None:
    task = shipped("jcola")
    first = min(
        question.choices(task), key=lambda key: question.choices(task)[key] != task.labels[0]
    )
    found = question.probabilities({first[:1]: math.log(0.9)}, task, least=math.log(0.01))
    assert found == pytest.approx((0.9 / 0.91, 0.01 / 0.91))


def test_calibration_divides_by_the_answer_to_texts_without_content() -> None:
    assert question.calibrated((0.8, 0.2), (0.9, 0.1)) == pytest.approx((0.3077, 0.6923), abs=1e-4)
    assert sum(question.calibrated((1.0, 0.0), (0.0, 1.0))) == pytest.approx(1.0)
    assert question.content_free(shipped("jnli"))[0] == ["", ""]


def test_the_label_of_an_answer() -> None:
    jsts = shipped("jsts")
    assert question.label("9", (0.0, 0.0, 0.5, 0.5, 0.0, 0.0), jsts) in ("2", "3")
    assert question.label("3.4", (), jsts) == "3"
    assert question.label("満足です", (), shipped("marc_ja")) == "positive"
    assert question.label("わかりません", (), shipped("marc_ja")) == ""
    assert question.label("満足", (0.2, 0.8), shipped("marc_ja")) == "negative"
