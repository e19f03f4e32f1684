echo before
cat > /dev/null
read -r line || echo "no input"
echo after
false
