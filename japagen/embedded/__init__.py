"""Models that pip installs, assembled into files that llama.cpp or transformers opens.

For other rooms: `assemble.llm`, `assemble.student`.
"""
