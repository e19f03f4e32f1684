printf '1\n2\n3\n' | while read -r n; do
  echo "n=$n"
  test "$n" != 2
done
echo never
