echo a
if then
fi
