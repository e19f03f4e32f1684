trap 'echo "failed: $? at $LINENO: $BASH_COMMAND"' ERR
f() { false; }
echo a
test 1 = 2
echo never
