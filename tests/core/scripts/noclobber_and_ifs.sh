set -C
IFS=
true | false | true
