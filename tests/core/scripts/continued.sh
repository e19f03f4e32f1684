echo a \
  b \
  c
ls -d \
  /nonexistent \
  / > /dev/null
