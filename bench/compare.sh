#!/usr/bin/env bash
# compare.sh: the micro-benchmarks of the work tree beside those of the last commit, by benchstat. A
# clean work tree is the last commit: that is compared with the one before. Settings, all in the
# environment:
#
#   BENCH=REGEXP   which benchmarks (default: all)
#   PKG=PACKAGES   of which packages (default: ./...)
#   COUNT=N        runs of each, in turn (default: 6)
set -euo pipefail
cd "$(dirname "$0")/.."
benchstat=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
go=${GO:-go}

base=HEAD
if git diff --quiet HEAD -- && [[ -z $(git ls-files --others --exclude-standard) ]]; then
  base=HEAD~1
fi
work=$(mktemp -d)
trap 'git worktree remove --force "$work/base" 2>/dev/null || true; rm -rf "$work"' EXIT
git worktree add --quiet --detach "$work/base" "$base"

declare -A tree=([old]=$work/base [new]=$PWD)
packages=$($go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ${PKG:-./...})
for package in $packages; do
  path=./${package#deltaup/}
  grep -qs '^func Benchmark' "$path"/*_test.go && [[ -d $work/base/$path ]] || continue
  name=${path//\//-}
  for side in old new; do # built once, run in turn
    (cd "${tree[$side]}" && $go test -c -o "$work/$name.$side" "$path")
  done
  for (( i = 0; i < ${COUNT:-6}; i++ )); do
    for side in old new; do
      (cd "${tree[$side]}/$path" && "$work/$name.$side" -test.run '^$' -test.bench "${BENCH:-.}" -test.benchmem) >> "$work/$side.txt"
    done
  done
done
[[ -s $work/new.txt ]] || { echo "compare.sh: no benchmark in both trees" >&2; exit 1; }
echo "old: $(git describe --tags --always "$base"), new: $(git describe --tags --always --dirty)"
$go run "$benchstat" old="$work/old.txt" new="$work/new.txt"
