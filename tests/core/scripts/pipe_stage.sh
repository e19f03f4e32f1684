echo start
printf 'b\na\n' | sort | cat | awk '{ print } END { exit 3 }' | tail -n 1
echo never
