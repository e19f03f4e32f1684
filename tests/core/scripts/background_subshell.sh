say() { echo "$1"; }
(cd / && sleep 3) &
for n in 1 2 3 4 5 6 7 8 9 10; do
  name=$(cat "/proc/$!/comm")
  if [ "$name" = sleep ]; then break; fi
  sleep 0.05
done
say "$name"
kill $!
wait $! || say "ended: $?"
false
