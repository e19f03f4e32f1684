echo (a)
echo b
