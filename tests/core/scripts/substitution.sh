x=$(echo out; false; echo more)
echo "x=$x"
y=$(echo out; exit 5)
echo never
