env | grep -ci 'ipyproc-' || true
set | grep -ci 'ipyproc-' || true
declare -F
declare -p | grep -ci 'ipyproc-' || true
compgen -v | grep -c '^IPYPROC_\|^_ipyproc' || true
echo "$#" "$@"
ls -l /proc/self/fd | awk 'NR > 1 { print $9 }' | sort -n | tr '\n' ' '
bash -c 'echo "$-"; trap -p; set -o | grep errtrace'
