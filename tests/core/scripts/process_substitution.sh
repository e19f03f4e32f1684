cat <(echo a; false; echo b)
diff <(echo 1) <(echo 1)
diff <(echo 1) <(echo 2) > /dev/null
echo never
