set -x
echo a
f() { false; }
f
