bash -e -c 'echo inner; false; echo no' || echo "inner: $?"
sh -e -c 'false' || echo "sh: $?"
(set +e; false; echo "goes on"; (exit 6))
echo never
