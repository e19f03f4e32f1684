exec 3>&1 4>&2
exec 2>&1
echo "to three" >&3
ls -d /nonexistent/dir
