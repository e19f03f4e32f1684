false &
wait $! || echo "waited: $?"
sleep 0 &
wait
( sleep 0.01; exit 3 ) &
wait $!
echo never
