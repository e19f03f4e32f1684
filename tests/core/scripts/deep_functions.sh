a() { b "$@"; }
b() { c "$@"; }
c() {
  local n=$1
  while [ "$n" -gt 0 ]; do
    n=$((n - 1))
  done
  grep -q "needle" /dev/null
}
a 3
