"""Programs on other machines, behind the same `Process`: the launchers `ssh` and `dask`.

    here:   Process ── channel.Channel ══ link ══ far.Session ── the supervised launcher there ── the program

What runs there (`far` and what it needs of `_core`) is standard library only and travels with the first program, as one
zip file that is held in memory (`parcel`): nothing is installed there, nothing stays. What both sides say to
each other is in `_core.protocol`; a link carries it, bytes in order: an SSH session for all programs of a connection, or a Dask comm for each.
"""
