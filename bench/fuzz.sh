#!/usr/bin/env bash
# fuzz.sh [TIME [FOLDER...]]: runs every fuzz target of the module, or of the packages below the
# folders, for TIME each (default 20s). All are run, whatever fails. Then come their rates, the
# slowest first, and the names of those that failed.
set -euo pipefail
time=${1:-20s}
shift || true
packages=("${@/%//...}")
(( ${#packages[@]} )) || packages=(./...)
log=$(mktemp)
rates=$(mktemp)
trap 'rm -f "$log" "$rates"' EXIT

fuzz() { go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -fuzzminimizetime 5x "$1" 2>&1 | tee "$log"; }

# late tells of a target that failed for being stopped: now and then go test reports the end of its
# own time, and no input.
late() { grep -A1 -e '^--- FAIL' "$log" | grep -q '^ *context deadline exceeded$' && ! grep -q 'Failing input' "$log"; }

# rate prints how many inputs a second a target took, from the line "fuzz: elapsed: 6s, execs: 1234
# (205/sec), ...".
rate() {
  sed -nE 's|^fuzz: elapsed: ([0-9hms]+), execs: ([0-9]+) .*|\1 \2|p' "$log" | tail -n 1 |
    awk '{ n = split($1, p, /[hms]/); s = 0; for (i = 1; i < n; i++) s = s * 60 + p[i]; print int($2 / (s > 0 ? s : 1)) }'
}

found=0
failed=()
for dir in $(go list -f '{{.Dir}}' "${packages[@]}"); do
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go 2>/dev/null | awk '{ print $2 }'); do
    found=$((found + 1))
    name="${dir#"$PWD/"} $target"
    echo "== $name"
    fuzz "$dir" "$target" || { late && fuzz "$dir" "$target"; } || failed+=("$name")
    printf '%9s a second  %s\n' "$(rate)" "$name" >> "$rates"
  done
done
(( found )) || { echo "fuzz.sh: no fuzz target found" >&2; exit 1; }
sort -n "$rates"
echo "fuzz.sh: $found targets, ${#failed[@]} failed"
(( ! ${#failed[@]} )) || { printf '  %s\n' "${failed[@]}"; exit 1; }
