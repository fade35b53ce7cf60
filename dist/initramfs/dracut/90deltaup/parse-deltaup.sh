#!/bin/sh
# A kernel that is told of a slot needs no root=.
# shellcheck disable=SC2034 # dracut reads them
if getarg deltaup.slot= >/dev/null; then
	root=deltaup
	rootok=1
fi
