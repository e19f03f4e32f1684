printf 'echo "in lib"\nlibf() {\n  false\n}\n' > lib.sh
. ./lib.sh
libf
