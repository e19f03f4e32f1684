shopt -s inherit_errexit 2>/dev/null || true
set -o errtrace
x=$(false; echo kept)
echo "x=$x"
