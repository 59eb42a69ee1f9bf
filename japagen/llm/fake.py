"""Engine without a model, for tests: deterministic Japanese sentences, with errors on request."""

from __future__ import annotations

import asyncio
import json
import math
import random

from japagen.config.error import UserError
from japagen.config.schema import LLM
from japagen.llm.engine import Completion, EngineError, Request

WHO = [
    "犬",
    "猫",
    "男の子",
    "女の子",
    "老人",
    "店員",
    "先生",
    "学生",
    "鳥",
    "馬",
    "消防士",
    "料理人",
    "選手",
    "旅人",
    "医者",
    "画家",
]
WHERE = [
    "公園",
    "台所",
    "駅前",
    "海辺",
    "教室",
    "雪山",
    "交差点",
    "市場",
    "図書館",
    "庭",
    "橋の上",
    "広場",
    "店先",
    "川辺",
    "工場",
    "畑",
]
HOW = [
    "静かに",
    "楽しそうに",
    "ゆっくり",
    "急いで",
    "一人で",
    "並んで",
    "元気に",
    "うれしそうに",
    "夢中で",
    "真剣に",
]
WHAT = [
    "走っています",
    "座っています",
    "笑っています",
    "本を読んでいます",
    "写真を撮っています",
    "歌っています",
]
WHAT += ["荷物を運んでいます", "空を見上げています"]
MALFORMED = ["", "はい、承知しました。", "Sure, here is one.", "这是一张照片", "。" * 400]


class Fake:
    """Answers from the request and its seed alone, whatever came before.

    `llm.engine`: latency (mean seconds of a random wait), error_rate and malformed_rate (0 to 1).
    An error is drawn again for each try, so that a retry may succeed, as with a real server.
    """

    def __init__(self, llm: LLM) -> None:
        options = {"latency": 0.0, "error_rate": 0.0, "malformed_rate": 0.0}
        unknown = set(llm.engine) - set(options)
        if unknown:
            raise UserError(
                f"llm.engine.{min(unknown)} is not an option of llm=fake; allowed: "
                f"{', '.join(options)}"
            )
        options.update(llm.engine)
        self.latency, self.error_rate, self.malformed_rate = options.values()
        self.errors = random.Random(0)

    async def complete(self, request: Request) -> Completion:
        """A sentence, or a reply in the requested form."""
        if self.latency:
            await asyncio.sleep(random.uniform(0, 2 * self.latency))
        if self.errors.random() < self.error_rate:
            raise EngineError("llm=fake: an error that llm.engine.error_rate asks for")
        prompt = request.text + "".join(message["content"] for message in request.messages)
        draw = random.Random(f"{request.seed} {prompt}")
        text = (
            draw.choice(MALFORMED) if draw.random() < self.malformed_rate else reply(request, draw)
        )
        # Half of the probability for its answer, more beside a single other choice.
        own = 0.5 if len(request.choices) > 2 else 0.6
        rest = (1 - own) / max(1, len(request.choices) - 1)
        top = (
            {choice: math.log(own if choice == text else rest) for choice in request.choices}
            if request.top
            else {}
        )
        return Completion(text, "stop", len(prompt), len(text), top if text in top else {})

    async def close(self) -> None:
        """Do nothing."""


def reply(request: Request, draw: random.Random) -> str:
    """A reply in the form that the request asks for."""
    if request.choices:
        return draw.choice(request.choices)
    if request.schema is not None:
        return json.dumps(
            {name: sentence(draw) for name in request.schema["properties"]}, ensure_ascii=False
        )
    return sentence(draw)


def sentence(draw: random.Random) -> str:
    """Three clauses, long enough for every task; there are more than 10^12 of them."""
    clauses = [
        f"{draw.choice(WHO)}が{draw.choice(WHERE)}で{draw.choice(HOW)}{draw.choice(WHAT)}"
        for _ in range(3)
    ]
    return "、".join(clauses) + "。"
