printf 'echo lib\n\nfalse\n' > lib.sh
trap 'rm -f lib.sh' EXIT
source ./lib.sh
