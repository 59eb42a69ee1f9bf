"""A random two-layer Qwen2 for vLLM, and options with which its text passes the cleaning."""

from __future__ import annotations

from pathlib import Path

KANA = (
    "あいうえおかきくけこさしすせそたちつてとなにぬねのはひふへほまみむめもやゆよらりるれろわをん"
)
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
CPU_ENGINE = {"max_model_len": 4096, "enforce_eager": True, "dtype": "float32"}


def write(folder: Path) -> Path:
    """Save the model with a byte-level tokenizer in which each kana is one token."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM, set_seed

    set_seed(0)
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(
        [*KANA] * 50 + ["写真に何が写っているかを説明する文を書いてください。"] * 20,
        1000,
        special_tokens=["<|end|>"],
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe._tokenizer, eos_token="<|end|>", pad_token="<|end|>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def overrides(folder: Path) -> list[str]:
    """Overrides for a pair task.

    The model writes random tokens, so only kana are allowed. The cleaning rules accept any kana.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    kana = [number for number in range(len(tokenizer)) if tokenizer.decode([number]) in KANA]
    assert len(kana) == len(KANA)
    engine = [f"++llm.engine.{key}={str(value).lower()}" for key, value in CPU_ENGINE.items()]
    return [
        *("task=jnli", f"llm.model={folder}", "llm.concurrency=8", *engine),
        *("task.clean.min_chars=1", "task.clean.max_chars=1000", "task.clean.sentences=null"),
        *("llm.sampling.max_tokens=400", "+llm.sampling.min_tokens=8", '+llm.sampling.stop=["ん"]'),
        f"+llm.sampling.allowed_token_ids={[*kana, tokenizer.eos_token_id]}",
    ]
