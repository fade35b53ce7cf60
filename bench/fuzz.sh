#!/usr/bin/env bash
# fuzz.sh [TIME [FOLDER...]]: runs every fuzz target of the module, or of the packages below the folders, for TIME each (default 20s).
# All are run, whatever fails; the last lines name those that did.
set -euo pipefail
time=${1:-20s}
shift || true
packages=("${@/%//...}")
(( ${#packages[@]} )) || packages=(./...)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fuzz() { go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 5x "$1" 2>&1 | tee "$log"; }

# late tells of a target that failed for being stopped: now and then go test reports the end of its own time, and no input.
late() { grep -A1 -e '^--- FAIL' "$log" | grep -q '^ *context deadline exceeded$' && ! grep -q 'Failing input' "$log"; }

found=0
failed=()
for dir in $(go list -f '{{.Dir}}' "${packages[@]}"); do
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go 2>/dev/null | awk '{ print $2 }'); do
    found=$((found + 1))
    echo "== ${dir#"$PWD/"} $target"
    fuzz "$dir" "$target" || { late && fuzz "$dir" "$target"; } || failed+=("${dir#"$PWD/"} $target")
  done
done
(( found )) || { echo "fuzz.sh: no fuzz target found" >&2; exit 1; }
echo "fuzz.sh: $found targets, ${#failed[@]} failed"
(( ! ${#failed[@]} )) || { printf '  %s\n' "${failed[@]}"; exit 1; }
