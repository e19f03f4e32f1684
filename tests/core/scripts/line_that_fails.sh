echo one
echo two >&2

test -e /nonexistent.parquet
echo never
