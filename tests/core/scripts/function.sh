check() {
  echo "checking $1"
  test -e "$1"
  echo never
}
all() { check / ; check /nonexistent; }
all
