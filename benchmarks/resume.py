"""Time and peak memory for resuming from a long journal.

    PYTHONPATH=. python benchmarks/resume.py [lines] [near_duplicate ...]

Writes a journal of that many replies, then replays it in a new process as generate.py does.
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from japagen.dataset.journal import Journal
from japagen.dataset.reply import Reply
from japagen.llm.fake import sentence
from japagen.synthesis.acceptance import Acceptor

HEAD = {"fingerprint": "0123456789", "shots": {}}
LABELS = ["entailment", "contradiction", "neutral"]


def write(path: Path, lines: int) -> None:
    """Write a journal of `lines` replies, of which one in twenty is rejected."""
    draw, k, attempt = random.Random(0), 0, 0
    with path.open("w", encoding="utf-8") as file:
        file.write(json.dumps(HEAD) + "\n")
        for _ in range(lines):
            bad = draw.random() < 0.05
            label, texts = LABELS[k % 3], (sentence(draw), sentence(draw))
            reason = "empty" if bad else ""
            reply = Reply(k, attempt, label, label, texts, reason, tokens=(120, 60), raw=texts)
            file.write(json.dumps(reply.entry(), ensure_ascii=False) + "\n")
            k, attempt = (k, attempt + 1) if bad else (k + 1, 0)


def replay(path: Path, near: float) -> None:
    """Replay the journal and print time and memory."""
    kept = 0

    def keep(_: int, reply: Reply) -> None:
        nonlocal kept
        kept += len(reply.texts) > 0

    begin, spent = time.monotonic(), time.process_time()
    with Journal(path, HEAD) as journal:
        state = Acceptor(LABELS, 10**9, 10, keep, near)
        for entry in journal.lines():
            state.replay(Reply.of(entry))
    seconds, spent = time.monotonic() - begin, time.process_time() - spent
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"near_duplicate={near}: {state.tally.replies} lines, {kept} accepted", end=": ")
    print(f"{seconds:.1f} s ({spent:.1f} s of CPU time), peak {peak:.0f} MB")


def main() -> None:
    """Write the journal in this process, and replay it in new ones."""
    if sys.argv[1:2] == ["--replay"]:
        replay(Path(sys.argv[2]), float(sys.argv[3]))
        return
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    nears = sys.argv[2:] or ["0", "0.9"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        write(path, lines)
        print(f"journal: {path.stat().st_size / 1e6:.0f} MB")
        for near in nears:
            subprocess.run([sys.executable, __file__, "--replay", str(path), near], check=True)


if __name__ == "__main__":
    main()
