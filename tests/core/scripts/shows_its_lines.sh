set -v
echo a
# a comment
false
