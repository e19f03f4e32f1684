echo a
cat <<E
no end