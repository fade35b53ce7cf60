#!/usr/bin/env bash
# bench.sh: deltaup beside other tools, on a real pair of root file systems. Settings, all in the environment:
#
#   QUICK=1       two minutes instead of twenty; the report goes to tmp/bench instead of bench/results
#   PAIR=DIR      folder with v1.tar and v2.tar; made by rootfs-pair.sh when it has none (default tmp/pair)
#   OUT=DIR       folder of the report
#   SCRATCH=DIR   folder for up to 25 GB (5 GB with QUICK) of files that are removed (default: the system's)
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin # of ip and tc

pair=${PAIR:-tmp/pair}
out=${OUT:-bench/results}
options=()
[[ -n ${OUT:-} ]] || options=(-readme README.md)
if [[ -n ${QUICK:-} ]]; then
  options=(-quick)
  out=${OUT:-tmp/bench}
fi
bench/tools.sh --peers
if [[ ! -f $pair/v1.tar || ! -f $pair/v2.tar ]]; then
  echo "bench.sh: making two root file systems in $pair; they are kept" >&2
  bench/rootfs-pair.sh "$pair"
fi
${GO:-go} build -o bin/deltaup-bench ./cmd/deltaup-bench
bin/deltaup-bench "${options[@]}" -scratch "${SCRATCH:-}" -o "$out" "$pair/v1.tar" "$pair/v2.tar"
echo "bench.sh: $out/report.html, $out/results.md, $out/results.json" >&2
