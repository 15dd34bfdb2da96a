"""What the steps share; nothing here needs torch, ``mada.nn`` does."""

VERSION = "0.1.0"  # of this code; kept in every checkpoint
