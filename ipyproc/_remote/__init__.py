"""Programs on other machines, behind the same `Process`: the launchers `ssh` and `dask`.

    here:   Process ── channel.Channel ══ link ══ far.Session ── the supervised launcher there ── the program

The code that runs there (`far` and what it needs of `_core`) uses the standard library only. It is sent with the first
program, as one zip file that is held in memory (`parcel`): nothing is installed there, and nothing is left behind. The
messages between both sides are in `_core.protocol`; a link carries them in order: an SSH session for all programs of
a connection, or a Dask comm for each program.
"""
