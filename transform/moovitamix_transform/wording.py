"""How messages count."""


def counted(number: int, noun: str) -> str:
    """`1 record`, `1,077 records`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
