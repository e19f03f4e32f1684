outer() { local v; v=$(inner 3); echo "v=$v"; inner 0; return 2; }
inner() { if [ "$1" -gt 0 ]; then echo "$1"; else echo zero; fi; }
outer
