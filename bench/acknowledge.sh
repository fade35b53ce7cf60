#!/usr/bin/env bash
# acknowledge.sh DELTAUP DEFINITION [FLAG...]: prints [[ack]] tables for all scripts of a definition's
# packages that nothing covers. The newest packages may have other scripts than the definition knows.
# Whether a machine boots without them is what a test asks.
set -euo pipefail
deltaup=${1:?usage: acknowledge.sh DELTAUP DEFINITION [FLAG...]}
definition=${2:?usage: acknowledge.sh DELTAUP DEFINITION [FLAG...]}
shift 2
"$deltaup" layers hooks --json "$@" "$definition" | python3 -c '
import json, sys
for h in json.load(sys.stdin):
    if h["rest"] and not h["acknowledged"]:
        print("[[ack]]\npackage = \"%(package)s\"\nscript = \"%(script)s\"\nsha256 = \"%(sha256)s\"\nwhy = \"new\"" % h)
'
