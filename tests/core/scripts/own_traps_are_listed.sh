trap 'echo bye' EXIT
trap -p
saved=$(trap -p EXIT)
echo "$saved"
false
