"""What looks like a password, token or key, by its name or by its form."""

from __future__ import annotations

import re

# A key or a word that names a secret. `max_tokens`, `tokenizer` and `author` do not.
SECRET = (
    r"(?i:(?:(?:api|access|private|account|storage|subscription|shared|secret)[_-]?key"
    r"|passw(?:or)?d|passphrase|secret|credential|authorization|[_-]auth|cookie|signature)s?"
    r"|token)(?![A-Za-z])"
)
# Query parameters of addresses that carry a secret under a name too short for SECRET.
PARAMETER = (
    r"(?i:[?&;](?:key|sig|auth|code|pass|pwd|jwt|sas|(?:\w+[_-])?token|x-(?:amz|goog)-\w+)=)"
)
PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    r".*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
    re.DOTALL,
)

IS = r"\s*(?:[:=]|%3[AaDd])\s*"
SCHEME = r"(?i:bearer|basic|token|digest|negotiate|api-?key|key|bot|oauth|sso-key|privatetoken)"
NAMES = ("key", "pass", "secret", "credential", "auth", "cookie", "signature", "token")
# Each with parts in lower case of which one is in every text that it matches: texts without them
# are passed over quickly. Group 1 of each pattern is kept, the rest becomes ***.
PATTERNS = tuple(
    (hints, re.compile(pattern))
    for hints, pattern in (
        (("?", "&", ";"), rf"({PARAMETER})[^\s&#'\"<>]+"),
        (("://",), r"(://(?:[^/\s:@'\"?#]*:)?)[^/\s'\"?#]+(?=@)"),
        (("cookie",), r"((?i:cookie)['\"]?\s*[:=]\s*(?:['\"]\s*)?)[^\s'\"][^\r\n'\"]*"),
        (
            ("digest",),
            r"((?i:\bdigest)\s+)(?=(?:username|realm|nonce|response|uri|algorithm|qop|opaque)=)"
            r"(?:\w+=(?:\\*\"[^\"]*\"|[^\s,\"]+)(?:\s*,\s*)?)+",
        ),
        # A scheme that is not known may be the secret itself, so both words are hidden.
        (
            ("authorization",),
            rf"((?i:authorization)['\"]?{IS}b?['\"]?(?:{SCHEME}\s+)?)"
            r"(?!\*)[^\s'\",&}<]+(?:[ \t]+(?!\*)[^\s'\",&}<]+)?",
        ),
        (NAMES, rf"({SECRET}['\"]?{IS}b?['\"]?(?:{SCHEME}\s+)?)(?!\*\*\*)[^\s'\",&}}]+"),
        # ("X-Api-Key", "...") and --api-key ..., but not ("token", "label") or --token words
        (
            NAMES,
            rf"(['\"](?:[\w-]{{1,40}}[_-])?{SECRET}['\"]\s*,\s*b?['\"])"
            r"(?=[^'\"]{0,200}\d)[^'\"]{8,}",
        ),
        (
            ("--",),
            rf"((?<!-)--(?:[A-Za-z][\w-]{{0,40}}[_-])?{SECRET}['\"]?,?\s+['\"]?)"
            r"(?![-\s])(?=[^\s'\",]{0,200}\d)[^\s'\",]{8,}",
        ),
        (("<",), rf"(<(?:[\w:.-]{{1,40}}[_:.-])?{SECRET}[^<>]{{0,100}}>\s*)[^<>\s]+(?=\s*</)"),
        # Not of a folder: PWD=/home/me
        (
            ("pwd", "pw"),
            rf"((?i:(?<![a-z])(?:pwd|pw))['\"]?{IS}['\"]?)(?![/~*])"
            r"(?=[^\s'\",;&}]{0,200}\d)[^\s'\",;&}]{8,}",
        ),
        (
            ("curl",),
            r"(\bcurl\b[^\r\n|;]{0,200}?\s(?:-u|-U|--user|--proxy-user)[ =]+['\"]?"
            r"[^\s:'\"]{0,100}:)[^\s'\"]+",
        ),
        (("login",), r"(\bmachine\s+\S{1,100}\s+login\s+\S{1,100}\s+password\s+)\S+"),
        (
            ("hooks", "webhook"),
            r"(\bhooks\.slack\.com/(?:services|workflows|triggers)/"
            r"|\bdiscord(?:app)?\.com/api/webhooks/|\.webhook\.office\.com/)[^\s'\"<>]+",
        ),
        (("sk-", "pk-", "rk-"), r"()\b(?:sk|pk|rk)-[\w-]{12,}"),
        (("k_live", "k_test", "whsec"), r"()\b(?:[spr]k_(?:live|test)|whsec)_[\w-]{8,}"),
        (
            ("hf_", "gh", "glpat", "xox", "nvapi", "gsk_", "r8_", "npm_", "dckr"),
            r"()\b(?:(?:hf|gh[oprsu]|gsk|r8|npm)_[A-Za-z0-9]{12,}"
            r"|(?:github_pat_|glpat-|xox[abprs]-|nvapi-|dckr_pat_)[\w-]{12,})",
        ),
        (("akia", "asia", "aiza"), r"()\b(?:AKIA|ASIA|AIza)[\w-]{12,}"),
        (("eyj",), r"()\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"),
        (("bearer", "basic"), r"((?i:\b(?:bearer|basic):?\s+))[A-Za-z0-9+/._~=-]{12,}"),
    )
)
LONG = 100_000  # characters


def patterned(text: str) -> str:
    """`text` with *** for what looks like a secret."""
    if "PRIVATE KEY" in text:
        text = PRIVATE_KEY.sub("***", text)
    if len(text) > LONG:  # tables of predictions: most of their lines need no pattern
        return "".join(patterned_line(line) for line in text.splitlines(keepends=True))
    return patterned_line(text)


def patterned_line(text: str) -> str:
    """The same for a text without private keys, which have many lines."""
    lower = text.lower()
    for hints, pattern in PATTERNS:
        if any(hint in lower for hint in hints):
            text = pattern.sub(r"\1***", text)
    return text
