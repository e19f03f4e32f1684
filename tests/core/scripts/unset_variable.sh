set -u
echo a
echo "$undefined_variable"
echo never
