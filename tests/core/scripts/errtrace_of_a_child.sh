bash -e -c 'trap "echo not in a function" ERR; f() { false; }; f'
echo never
