package layers

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"

	"deltaup/mkimage/tree"
)

// Difference is a path that two trees do not have alike.
type Difference struct {
	Path string
	Kind DifferenceKind
	Why  string // what of it differs
}

// DifferenceKind says who has a path.
type DifferenceKind uint8

// The kinds of differences between a composed tree and another one.
const (
	Lacking    DifferenceKind = iota // only the other tree has it
	Additional                       // only the composed tree has it
	Changed                          // both have it
)

// Compare gives the differences of a composed tree from another one, in path order. Times do not
// count.
func Compare(composed, other tree.Tree) (list []Difference, err error) {
	a, b := composed.Entries(), other.Entries()
	first := func(t tree.Tree) map[string]int {
		at := map[string]int{}
		for i := range t.Entries() {
			at[t.Entries()[i].Path] = i
		}
		return at
	}
	inA, inB := first(composed), first(other)
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case j == len(b) || i < len(a) && tree.Compare(a[i].Path, b[j].Path) < 0:
			list = append(list, Difference{Path: a[i].Path, Kind: Additional})
			i++
		case i == len(a) || tree.Compare(a[i].Path, b[j].Path) > 0:
			list = append(list, Difference{Path: b[j].Path, Kind: Lacking})
			j++
		default:
			x, y := i, j
			if a[i].Link != "" {
				x = inA[a[i].Link]
			}
			if b[j].Link != "" {
				y = inB[b[j].Link]
			}
			why, err := differs(composed, other, x, y)
			if err != nil {
				return nil, err
			}
			if why != "" {
				list = append(list, Difference{Path: a[i].Path, Kind: Changed, Why: why})
			}
			i++
			j++
		}
	}
	return list, nil
}

// differs says what differs between two entries, "" for nothing.
func differs(s, t tree.Tree, i, j int) (string, error) {
	a, b := &s.Entries()[i], &t.Entries()[j]
	switch {
	case a.Type != b.Type:
		return "type", nil
	case a.Target != b.Target:
		return "target", nil
	case a.UID != b.UID || a.GID != b.GID:
		return "owner", nil
	case a.Mode != b.Mode:
		return "mode", nil
	case !equalXattrs(a.Xattrs, b.Xattrs):
		return "attributes", nil
	case a.Major != b.Major || a.Minor != b.Minor:
		return "device", nil
	case a.Size != b.Size:
		return "content", nil
	case a.Type != tree.Regular:
		return "", nil
	}
	x, err := sumOf(s, i)
	if err != nil {
		return "", err
	}
	y, err := sumOf(t, j)
	if err != nil || slices.Equal(x, y) {
		return "", err
	}
	return "content", nil
}

func sumOf(t tree.Tree, i int) ([]byte, error) {
	r, err := t.Open(i)
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.Copy(h, r)
	return h.Sum(nil), errors.Join(err, r.Close())
}
