{ echo a; echo b; } > /dev/null
{ echo a; cat; } < /nonexistent
echo never
