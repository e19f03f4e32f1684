trap 'echo "exit $?"; rm -f /tmp/nothing' EXIT
echo a
false
