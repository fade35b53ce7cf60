package rootfs

import (
	"archive/tar"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// paxGlobals are the records of global pax headers, which apply to all entries that follow. Records
// of times, owners and extended attributes apply to each entry that has no such record itself.
type paxGlobals struct {
	records map[string]string
	ignored tally // headers with records that FromTar ignores
}

// globalsMax is how many bytes of records may apply at a time, since applying them takes time for
// each entry.
const globalsMax = 16 << 10

// merge adds the records of a header. An empty value removes a record.
func (g *paxGlobals) merge(h *tar.Header) error {
	if h.PAXRecords == nil { // archive/tar makes nil of a header without records
		return fmt.Errorf("%w: the pax header for the whole archive %s has an impossible value",
			ErrMalformed, show(h.Name))
	}
	if g.records == nil {
		g.records = make(map[string]string)
	}
	strange := 0
	for key, value := range h.PAXRecords {
		switch {
		case value == "":
			delete(g.records, key)
		case key == "uid", key == "gid", key == "mtime", isXattrKey(key):
			g.records[key] = value
		case key == "path", key == "linkpath", key == "size", strings.HasPrefix(key, "GNU.sparse."):
			strange = 1
		} // comments, and times and names that no image has
	}
	g.ignored.add(strange, h.Name)
	size := 0
	for key, value := range g.records {
		size += len(key) + len(value)
		if err := checkGlobal(key, value); err != nil {
			return err
		}
	}
	if size > globalsMax {
		return fmt.Errorf("%w: %d bytes of pax records for the whole archive", ErrMalformed, size)
	}
	return nil
}

// checkGlobal refuses a record that apply cannot use.
func checkGlobal(key, value string) error {
	ok := true
	switch key {
	case "mtime":
		_, ok = paxTime(value)
	case "uid", "gid":
		_, err := strconv.ParseUint(value, 10, 32)
		ok = err == nil
	}
	if !ok {
		return fmt.Errorf("%w: the pax header for the whole archive has %s=%s", ErrMalformed, key,
			show(value))
	}
	return nil
}

// apply adds to a header the records that it does not have itself.
func (g *paxGlobals) apply(h *tar.Header) {
	for key, value := range g.records {
		if _, own := h.PAXRecords[key]; own {
			continue
		}
		switch key {
		case "mtime":
			sec, _ := paxTime(value)
			h.ModTime = time.Unix(sec, 0)
		case "uid":
			n, _ := strconv.ParseUint(value, 10, 32)
			h.Uid = int(n)
		case "gid":
			n, _ := strconv.ParseUint(value, 10, 32)
			h.Gid = int(n)
		default:
			if h.PAXRecords == nil {
				h.PAXRecords = make(map[string]string)
			}
			h.PAXRecords[key] = value
		}
	}
}

// paxTime reads a time in seconds since 1970, rounded down.
func paxTime(s string) (int64, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	sec, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || strings.Trim(fraction, "0123456789") != "" || sec == math.MinInt64 {
		return 0, false
	}
	if strings.HasPrefix(whole, "-") && strings.Trim(fraction, "0") != "" {
		sec--
	}
	return sec, true
}
