#!/usr/bin/env bash
# bench.sh: deltaup beside other tools, on a real pair of root file systems. Settings, all in the
# environment:
#
#   QUICK=1       two minutes instead of half an hour; the report goes to tmp/bench instead of bench/results
#   SCALE=1       instead of the tools: growth with the image's size, its files, the change and the number of releases, put into the same report
#   WHOLE=1       instead of times: bytes without and with kernel and initrd, for whole.json, README.md and doc/bench.md
#   PAIRS=DIR...  with WHOLE: folders with v1.tar and v2.tar, which have boot/ (default tmp/whole, made when it has none)
#   ONLY=IDS      the methods to measure, separated by commas; with WHOLE the others keep their figures of the same input;
#                 with SCALE of sizes, files, changes, releases, which the report then has alone
#   PAIR=DIR      folder with v1.tar and v2.tar; made by rootfs-pair.sh when it has none (default tmp/pair)
#   OUT=DIR       folder of the report
#   SCRATCH=DIR   folder for up to 15 GB (5 GB with QUICK, 50 GB with SCALE) of files that are removed (default: the system's)
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/sbin:/sbin # of ip and tc

pair=${PAIR:-tmp/pair}
out=${OUT:-bench/results}
options=()
trees=("$pair/v1.tar" "$pair/v2.tar")
[[ -n ${OUT:-} ]] || options=(-readme "README.md,doc/bench.md")
if [[ -n ${QUICK:-} ]]; then
  options=(-quick)
  out=${OUT:-tmp/bench}
fi
if [[ -n ${SCALE:-} ]]; then
  options+=(-scale -level fastest)
  trees=("$pair/v1.tar")
fi
if [[ -n ${WHOLE:-} ]]; then
  read -ra trees <<<"${PAIRS:-tmp/whole}"
  pair=${trees[0]}
  options+=(-whole)
  export EXTRA=${EXTRA:-linux-image-cloud-amd64}
fi
[[ -z ${ONLY:-} ]] || options+=(-only "$ONLY")
bench/tools.sh --peers
if [[ ! -f $pair/v1.tar || ! -f $pair/v2.tar ]]; then
  echo "bench.sh: making two root file systems in $pair; they are kept" >&2
  bench/rootfs-pair.sh "$pair"
fi
${GO:-go} build -C bench -o ../bin/deltaup-bench ./cmd/deltaup-bench
bin/deltaup-bench "${options[@]}" -scratch "${SCRATCH:-}" -o "$out" "${trees[@]}"
echo "bench.sh: $out/report.html, $out/results.md, $out/results.json, $out/scale.json, $out/whole.json" >&2
