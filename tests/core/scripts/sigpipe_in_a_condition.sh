if yes | grep -q y; then echo found; else echo "not found, ${PIPESTATUS[*]}"; fi
yes | head -n 1 || true
set +o pipefail
yes | head -n 1
echo end
