echo a
[ -e /nonexistent ] || exit 3
