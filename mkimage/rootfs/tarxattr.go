package rootfs

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Keys of pax records of extended attributes: star's and GNU tar's, with plain bytes; libarchive's,
// with the name URL-encoded and the value in base64; GNU tar's for SELinux labels; and those of
// access control lists in text form.
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

// gnuName undoes GNU tar's encoding of names, since pax permits no "=" in keys.
var gnuName = strings.NewReplacer("%3D", "=", "%25", "%")

// paxXattrs collects the extended attributes of a header. bsdtar writes each of them twice, in two
// forms.
func paxXattrs(records map[string]string) (xattrSet, error) {
	var set xattrSet
	values := make(map[string]string)
	keys := slices.Sorted(maps.Keys(records)) // in a fixed order, since two keys may mean one name
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
		values["security.selinux"] = label + "\x00" // as the kernel has it
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
