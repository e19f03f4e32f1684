set +e
test one = two
echo "$_ $? ${PIPESTATUS[0]}"
true | false | true
echo "${PIPESTATUS[*]} $?"
false
echo "$?" "${PIPESTATUS[@]}"
[[ abc =~ b(.) ]]
false
echo "${BASH_REMATCH[1]}"
set -e
ls /nonexistent/a 2> /dev/null || echo "$_ $?"
