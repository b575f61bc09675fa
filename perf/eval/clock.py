"""The one day that every set is put on, and rows of Zeek's logs. Needs nothing but Python."""

import datetime

DAY = datetime.date(2026, 3, 11)
MIDNIGHT = int(datetime.datetime(2026, 3, 11, tzinfo=datetime.timezone.utc).timestamp() * 1_000_000)
DAY_MICROS = 86_400_000_000


def fold(times):
    """Times in seconds onto the one day; longer sets are folded, which keeps intervals below a day."""
    first = min(times)
    return lambda t: MIDNIGHT + int((t - first) * 1e6) % DAY_MICROS


def zeek(stream):
    """Rows of a Zeek log (tab separated) as dicts; unset fields are None."""
    fields = []
    for line in stream:
        line = line.rstrip("\n")
        if line.startswith("#fields"):
            fields = line.split("\t")[1:]
        elif line and not line.startswith("#"):
            values = line.split("\t")
            yield {k: (None if v in ("-", "(empty)") else v) for k, v in zip(fields, values)}
