trap 'n=$((n + 1)); echo "debug $n: $BASH_COMMAND"' DEBUG
echo a
false
echo never
