#!/usr/bin/env bash
# fuzz.sh [TIME [FOLDER...]]: runs every fuzz target of all modules, or of the packages below the
# folders, for TIME each (default 20s). All are run, whatever fails. Then come their rates, the
# slowest first, and the names of those that failed.
set -euo pipefail
time=${1:-20s}
shift || true
folders=("$@")
(( $# )) || mapfile -t folders < <(git ls-files '*go.mod' | xargs -n 1 dirname)
log=$(mktemp)
rates=$(mktemp)
trap 'rm -f "$log" "$rates"' EXIT

fuzz() { # a folder of the module, that of the package, target
  go test -C "$1" -run '^$' -fuzz "^$3\$" -fuzztime "$time" -fuzzminimizetime 5x "$2" 2>&1 < /dev/null |
    tee "$log"
}

# late tells of a target that failed for being stopped: now and then go test reports the end of its
# own time, and no input.
late() { grep -A1 -e '^--- FAIL' "$log" | grep -q '^ *context deadline exceeded$' && ! grep -q 'Failing input' "$log"; }

# rate prints how many inputs a second a target took, from the line "fuzz: elapsed: 6s, execs: 1234
# (205/sec), ...".
rate() {
  sed -nE 's|^fuzz: elapsed: ([0-9hms]+), execs: ([0-9]+) .*|\1 \2|p' "$log" | tail -n 1 |
    awk '{ n = split($1, p, /[hms]/); s = 0; for (i = 1; i < n; i++) s = s * 60 + p[i]; print int($2 / (s > 0 ? s : 1)) }'
}

list=$(for folder in "${folders[@]}"; do go list -C "$folder" -f "$folder {{.Dir}}" ./...; done)
found=0
failed=()
while read -r folder dir; do
  for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$dir"/*_test.go 2>/dev/null | awk '{ print $2 }'); do
    found=$((found + 1))
    name="${dir#"$PWD/"} $target"
    echo "== $name"
    fuzz "$folder" "$dir" "$target" || { late && fuzz "$folder" "$dir" "$target"; } || failed+=("$name")
    printf '%9s a second  %s\n' "$(rate)" "$name" >> "$rates"
  done
done <<< "$list"
(( found )) || { echo "fuzz.sh: no fuzz target found" >&2; exit 1; }
sort -n "$rates"
echo "fuzz.sh: $found targets, ${#failed[@]} failed"
(( ! ${#failed[@]} )) || { printf '  %s\n' "${failed[@]}"; exit 1; }
