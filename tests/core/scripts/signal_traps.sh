trap 'echo got usr1' USR1
kill -USR1 $$
trap 'echo bye; exit 9' TERM
kill -TERM $$
sleep 1
