"""Normalising a reply: reasoning, special tokens, invisible characters, undecodable ones."""

from __future__ import annotations

import unicodedata

import pytest

from japagen.text.normal import REASONS, Normalised, normalise

DOG = "犬が公園を走っている。"


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>\n\n</think>\n\n{DOG}",
        f"<think>何を書くか、考える。</think>{DOG}",
        f"犬について書く。\n</think>\n{DOG}",
        f"<think>まず<think>内側</think>続き</think>{DOG}",
        f"<think>一</think><think>二</think>{DOG}",
        f"{DOG}<think>これでよい。</think>",
        f"<Thinking>考える</Thinking>{DOG}",
        f"<reasoning>考える</reasoning>\n{DOG}",
        f"[THINK]考える[/THINK]{DOG}",
        f"◁think▷考える◁/think▷{DOG}",
        f"<th\u200bink>考える</think>{DOG}",
        f"<|channel|>analysis<|message|>考える。<|end|><|start|>assistant<|channel|>final<|message|>{DOG}",
        f"<|channel|>final<|message|>{DOG}<|return|>",
        f"analysis考える。assistantfinal{DOG}",
        f"assistantanalysis考える。assistantfinal{DOG}",
        f"analysisThe assistant finally answers. assistantfinal{DOG}",
        f"assistant final\n{DOG}",
        f"<|im_start|>assistant\n<think>考える</think>\n{DOG}<|im_end|>",
        f"<think>「[cot]」と〈</s>〉か</think>{DOG}",
        f"考える。</think>{DOG}",
        f"{DOG}<|im_end|><think>考える</think>次の文",
        f"assistantfinal{DOG}",
        f"<|channel|>final <|constrain|>json<|message|>{DOG}",
        f"<|thinking|>考える<|/thinking|>{DOG}",
        f"<|think|>考える<|end|><|begin|>assistant<|content|>{DOG}<|end|>",
        f"<|START_THINKING|>考える<|END_THINKING|><|START_RESPONSE|>{DOG}<|END_RESPONSE|>",
        f"<|thought_begin|>考える<|thought_end|>{DOG}",
        f"<|begin_of_thought|>考<|end_of_thought|><|begin_of_solution|>{DOG}<|end_of_solution|>",
        f"<|inner_prefix|>考える<|inner_suffix|>{DOG}",
        f"<|channel>thought\n考える<channel|>{DOG}<turn|>",
        f"<|channel>thought\n<channel|>{DOG}",
        f"[thinking]考える[/thinking]{DOG}",
        f"＜think＞考える＜/think＞{DOG}",
        f"＜think＞考える＜／think＞{DOG}",
        f"&lt;think&gt;考える&lt;/think&gt;{DOG}",
        f'<think mode="low">考える</think>{DOG}',
        f"<think/>{DOG}",
        f"<think />\n{DOG}",
        f"<reasoning>考える</reasoning><answer>{DOG}</answer>",
    ],
)
def test_reasoning_is_removed(reply: str) -> None:
    text, reason = normalise(reply)
    assert (text.strip(), reason) == (DOG, "")


@pytest.mark.parametrize(
    "name",
    [
        *("analysis", "scratchpad", "reflection", "mm:think", "seed:think", "longcat_think"),
        *("chain_of_thought", "thought_process", "inner_monologue", "cot", "思考", "思考過程"),
    ],
)
def test_a_block_of_any_usual_name_is_reasoning(name: str) -> None:
    assert normalise(f"<{name}>考える。</{name}>{DOG}") == Normalised(DOG)
    assert normalise(f"<{name}>{DOG}") == Normalised("", "thoughts")


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>まず、{DOG}",
        "<think>一</think><think>二",
        "<|channel|>analysis<|message|>犬について書く。",
        "<|channel|>analysis<|message|>犬。<|end|><|start|>assistant<|channel|>commentary",
        "analysis犬について書く。",
        "[THINK]犬について",
        f"<|thinking|>{DOG}",
        f"<|START_THINKING|>{DOG}",
        f"<|channel>thought\n{DOG}",
        f"＜think＞{DOG}",
        f"assistantanalysis{DOG}",
        f"commentary{DOG}",
    ],
)
def test_unfinished_reasoning_is_no_text(reply: str) -> None:
    assert normalise(reply) == Normalised("", "thoughts")


@pytest.mark.parametrize(
    "reply",
    [
        f"{DOG}<|im_end|>",
        f"{DOG}<|eot_id|><|start_header_id|>user<|end_header_id|>次の文",
        f"{DOG}<｜end▁of▁sentence｜>",
        f"{DOG}</s>",
        f"{DOG}<end_of_turn>\n",
        f"<|im_start|>assistant\n{DOG}<|im_end|>",
        f"<s>{DOG}",
        f"[INST]{DOG}",
        f"{DOG}<|im_e",
        f"<|start_header_id|>assistant<|end_header_id|>\n\n{DOG}<|eot_id|>",
        f"<|header_start|>assistant<|header_end|>\n\n{DOG}<|eot|>",
        f"<|im_start|>assistant<|im_sep|>{DOG}<|im_end|>",
        f"<|start|>assistant<|message|>{DOG}<|return|>",
        f"<|turn>model\n{DOG}<turn|>",
        f"[gMASK]<sop>{DOG}",
        f"[CLS]{DOG}[SEP]",
        f"[BOS]{DOG}[EOS]",
        f"{DOG}[PAD][PAD]",
        f"{DOG}<EOD>",
        f"{DOG}<EOT>次の文",
        f"{DOG}</S>",
        f"{DOG}<| im_end |>",
        f"{DOG}&lt;|im_end|&gt;",
        f"{DOG}＜｜im_end｜＞",
        f"{DOG}<|unknown|>\n<|unknown|>",
        f"Assistant: {DOG}",
        f"assistant\n{DOG}",
        f"<|im_start|>Assistant: {DOG}",
        f"<answer>{DOG}</answer>",
        f"＜answer＞{DOG}＜/answer＞",
        f"<answer>{DOG}</answer><|im_end|><|im_start|>user\n次の文",
        f"<text>{DOG}</text>",
        f"{DOG}</s>次の文",
        f"{DOG}</s>\n次の文",
        f"<answer>{DOG}",
        f"{DOG}</answer>",
    ],
)
def test_special_tokens_and_what_follows_them_are_removed(reply: str) -> None:
    text, reason = normalise(reply)
    assert (text.strip(), reason) == (DOG, "")


@pytest.mark.parametrize(
    "token",
    [
        *("[UNK]", "[MASK]", "<mask>", "<UNK>", "<|unk|>", "<extra_id_0>", "<unused42>"),
        *("<|unknown|>", "<unknown|>", "<answer>", "[/INST]"),
    ],
)
def test_a_token_inside_that_ends_no_turn_rejects_the_reply(token: str) -> None:
    assert normalise(DOG[:4] + token + DOG[4:]) == Normalised("", "damaged")


@pytest.mark.parametrize(
    "reply",
    [
        f"<|plan|>考える。<|/plan|>{DOG}",
        f"<|plan_begin|>考える。<|plan_end|>{DOG}",
        f"[INST]犬の文を書いて。[/INST]{DOG}",
        f"<<SYS>>犬の文を書いて。<</SYS>>{DOG}",
    ],
)
def test_of_two_texts_around_an_unknown_token_none_is_taken(reply: str) -> None:
    assert normalise(reply) == Normalised("", "damaged")


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (unicodedata.normalize("NFD", "ガラスが割れた。"), "ガラスが割れた。"),
        ("か\u200b\u3099く", "がく"),  # a mark is composed once nothing stands between
        ("葛\U000e0100城市", "葛城市"),
        ("\x1b[31m赤い\x1b[0m花\x07", "赤い花"),
        ("\x1b]8;;http://x\x07花\x1b]8;;\x07", "花"),
        ("一行目\r\n二行目\u2028三行目", "一行目\n二行目\n三行目"),
        ("走\x00る\t犬", "走る犬"),
        ("\ud83d\udc36と走る", "🐶と走る"),
        ("<s>\u3099犬", "犬"),
        ("<think>？</think>\u3099犬", "犬"),
    ],
)
def test_unicode(reply: str, text: str) -> None:
    assert normalise(reply) == Normalised(text)


@pytest.mark.parametrize(
    "text",
    [
        "家族👨‍👩‍👧と❤️",
        "a < b で [1] は ◁ だ",
        "［注］Ａ＜Ｂ＞Ｃと<3、>_<、R&Bと&amp;",
        "assistantの仕事",
        "部屋着のサイズは<S>しかなくて残念でした。",
        "浴衣は<S>と<M>と</S>が選べる。",
        "Google assistant finally が日本語に対応した。",
        "彼は「assistant final」という曲を聞いた。",
        "ホテル[cot]の朝食が最高でした。",
        "彼は＜思考＞の整理術を読んだ。",
        "＜思考＞の整理術を読んだ。",
        "[Thinking] という曲を聞いた。",
        "[推論]ゲームが届いた。",
        "[Reflection]を聞いた。",
        "記号は<|です。",
        "1⃣番、あ゙っ、か゚、café",
        "🏳️‍🌈と👩🏽‍🚀",
        "2024年、約7€",
        "全角　空白",
        "<b>太字</b>",
        "値段は<1000円>です。",
        "",
        "\n",
    ],
)
def test_what_belongs_to_the_text_stays(text: str) -> None:
    assert normalise(text) == Normalised(text)


@pytest.mark.parametrize("sign", ["\ufffd", chr(0xD83D), "<unk>", "<0xE3>", "\ufffe", "\ue000"])
def test_undecodable_characters_reject_the_reply(sign: str) -> None:
    assert normalise(DOG[:4] + sign + DOG[4:]) == Normalised("", "damaged")
    assert set(REASONS) == {"thoughts", "damaged"}


# [MASK] and <mask> are special tokens of encoders: texts with them are rejected, even where the
# token is at an end, since it stands for words that are not there.
@pytest.mark.parametrize(
    "text", ["[MASK]という映画を見た。", "<mask>を着けた。", "好きなのは[MASK]"]
)
def test_a_text_with_the_mask_of_an_encoder_is_damaged(text: str) -> None:
    assert normalise(text) == Normalised("", "damaged")


@pytest.mark.parametrize(
    "reply",
    [
        *("太郎は記事に[PAD]と書いた。", f"{DOG}[SEP]次の文", "彼は[cls]と書いた。"),
        *("彼は「<end>」と書いて終えた。", "値段は<s>1000円</s>500円です。", "カメラは[EOS]です。"),
        *("HTMLの<text>タグと</text>タグを教わった。", "<text>タグと</text>タグを教わった。"),
        *("<出力>という文字が画面に出た。", f"<answer>{DOG}</answer>以上です。"),
        f"このように書きます。\n<answer>\n{DOG}\n</answer>",
        *(
            "HTMLの<think>と</think>を教わった。",
            "彼は</think>と書いた。",
            "空の<think/>と書いた。",
        ),
        *(f"{DOG}<think>まず、", "ホテル[cot]の[/cot]朝食", f"考える。assistantfinal{DOG}"),
        "か<think>？</think>\u3099",
    ],
)
def test_nothing_is_cut_out_of_the_middle(reply: str) -> None:
    assert normalise(reply) == Normalised("", "damaged")


def test_what_follows_two_bare_channels_is_not_chosen() -> None:
    reply = f"analysis考える。assistantfinal{DOG}assistantfinal{DOG}"
    assert normalise(reply) == Normalised("", "thoughts")


@pytest.mark.timeout(60)  # quadratic: minutes
@pytest.mark.parametrize("left", ["<think>", "[THINK]"])
def test_nested_blocks_take_linear_time(left: str) -> None:
    right = left[0] + "/" + left[1:]
    assert normalise(left * 20_000 + right * 20_000 + DOG) == Normalised(DOG)
    assert normalise(left * 20_000 + right * 19_999 + DOG) == Normalised("", "thoughts")


def test_normalising_twice_changes_nothing() -> None:
    for reply in (f"<|im_start|>assistant\n{DOG}<|im_end|>", f"</think>{DOG}", "か\u200b\u3099"):
        assert normalise(normalise(reply).text) == normalise(reply)
