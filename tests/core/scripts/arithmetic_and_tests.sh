n=0
(( n += 1 ))
[[ -n $n ]]
let n-=1 || true
echo "$n"
(( n ))
echo never
