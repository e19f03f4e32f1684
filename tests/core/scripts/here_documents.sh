name=world
cat <<X
hello $name $LINENO
X
cat <<'Y' | tr a-z A-Z
not $name
Y
grep -q nobody <<< "$name"
echo never
