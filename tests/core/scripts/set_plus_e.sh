set +e
false
echo "goes on, $?"
set -e
true
(exit 4)
echo never
