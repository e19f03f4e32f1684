set -E
trap 'echo "err in ${FUNCNAME[0]-main} line $LINENO"' ERR
f() {
  false
}
f
