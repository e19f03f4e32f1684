echo a
[ -e /nonexistent ] && echo no
