echo before
exec sh -c 'echo "in sh: $0"; exit 7'
echo never
