"""Deadlines in the user's words: finding them at the end of a sentence and turning them into dates."""

import re
from datetime import date, timedelta

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

WEEKDAY = rf"(?:next |this )?(?:{'|'.join(WEEKDAYS)})"
DAY = rf"(?:today|tonight|tomorrow|next week|in \d{{1,3}} days?|{WEEKDAY}|\d{{4}}-\d\d-\d\d)"

# A known day may stand alone ("call Ann tomorrow"); other words need a "by" to be taken for a deadline.
DEADLINE = re.compile(
    rf"\s+(?:(?:(?:by|before|until|due|on)\s+)?(?P<day>{DAY})|(?:by|before|until|due)\s+(?P<words>.+?))$",
    re.I,
)


def split_deadline(text: str) -> tuple[str, str | None]:
    """Split "buy milk by Friday" into "buy milk" and "Friday"."""
    match = DEADLINE.search(text)
    if match is None:
        return text, None
    return text[: match.start()], match["day"] or match["words"]


def due_on(deadline: str, *, said_on: date) -> date | None:
    """The date that the words meant on the day they were said; None if they name no day we know."""
    words = deadline.lower()
    if words in ("today", "tonight"):
        return said_on
    if words == "tomorrow":
        return said_on + timedelta(days=1)
    if words == "next week":
        return said_on + timedelta(weeks=1)
    if match := re.fullmatch(r"in (\d{1,3}) days?", words):
        return said_on + timedelta(days=int(match[1]))
    return _weekday(words, said_on=said_on) or _iso_date(words)


def _weekday(words: str, *, said_on: date) -> date | None:
    name = words.removeprefix("this ").removeprefix("next ")
    if name not in WEEKDAYS:
        return None
    ahead = (WEEKDAYS.index(name) - said_on.weekday()) % 7
    return said_on + timedelta(days=ahead + 7 if words.startswith("next ") else ahead)


def _iso_date(words: str) -> date | None:
    try:
        return date.fromisoformat(words)
    except ValueError:
        return None
