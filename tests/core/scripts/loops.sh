for n in 1 2 3; do
  case $n in
    2) test "$n" = 1 ;;
  esac
  echo "$n"
done
