if false; then echo no; fi
false || echo or
false && echo no
! true
while false; do :; done
until true; do :; done
f() { false; echo "f goes on"; }
if f; then echo "f is true"; fi
f || true
echo end
