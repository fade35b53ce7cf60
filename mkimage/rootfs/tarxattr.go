package rootfs

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Keys of pax records that hold extended attributes: star's and GNU tar's with the
// bytes as they are, libarchive's with the name URL-encoded and the value in base64, GNU
// tar's own for SELinux labels, and access control lists in text form.
const (
	paxSchily     = "SCHILY.xattr."
	paxLibarchive = "LIBARCHIVE.xattr."
	paxSELinux    = "RHT.security.selinux"
	paxACLAccess  = "SCHILY.acl.access"
	paxACLDefault = "SCHILY.acl.default"
)

// isXattrKey reports whether a pax record is about extended attributes.
func isXattrKey(key string) bool {
	return strings.HasPrefix(key, paxSchily) || strings.HasPrefix(key, paxLibarchive) ||
		key == paxSELinux || key == paxACLAccess || key == paxACLDefault
}

// gnuName undoes what GNU tar does to names, in which pax permits no "=".
var gnuName = strings.NewReplacer("%3D", "=", "%25", "%")

// paxXattrs gathers a header's extended attributes. bsdtar writes each in two ways.
func paxXattrs(records map[string]string) (xattrSet, error) {
	var set xattrSet
	values := make(map[string]string)
	keys := slices.Sorted(maps.Keys(records)) // should two mean the same name
	for _, key := range keys {
		if encoded, ok := strings.CutPrefix(key, paxLibarchive); ok {
			name, err := url.PathUnescape(encoded)
			if err != nil {
				return set, fmt.Errorf("pax record %s: %w", show(key), err)
			}
			plain, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(records[key], "="))
			if err != nil {
				return set, fmt.Errorf("pax record %s: %w", show(key), err)
			}
			values[name] = string(plain)
		}
	}
	if label, ok := records[paxSELinux]; ok {
		values["security.selinux"] = label + "\x00" // as the kernel gives it
	}
	for _, key := range keys {
		switch name, ok := strings.CutPrefix(key, paxSchily); {
		case ok:
			values[gnuName.Replace(name)] = records[key]
		case key == paxACLAccess:
			values["system.posix_acl_access"] = ""
		case key == paxACLDefault:
			values["system.posix_acl_default"] = ""
		}
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		set.add(strings.Clone(name), values[name])
	}
	return set, nil
}
