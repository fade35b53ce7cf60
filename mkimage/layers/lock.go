package layers

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// lockMagic is the first line of a lock.
const lockMagic = "deltaup-lock 1"

// Bounds of a lock: lines of a kind, and bytes of a line.
const (
	lockedMax = 1 << 17
	lineMax   = 4 << 10
)

// Lock names the packages of a definition by their hashes.
type Lock struct {
	Layers     []LockedLayer     // sorted by layer
	Containers []LockedContainer // sorted by layer
	Packages   []Locked          // sorted by layer, name and architecture
}

// LockedContainer is a container image of a registry. It is a line of the file: layer, digest and
// reference, with spaces between.
type LockedContainer struct{ Layer, Digest, Reference string }

// container gives the digest that a layer's reference had when it was locked; "": it was not.
func (l *Lock) container(layer, reference string) string {
	for _, c := range l.Containers {
		if c.Layer == layer && c.Reference == reference {
			return c.Digest
		}
	}
	return ""
}

// Locked is a package of a lock. It is one line of the file: layer, name, version, architecture,
// size, hash and address, with spaces between.
type Locked struct {
	Layer, Name, Version, Architecture string
	Size                               int64
	SHA256                             string // 64 hexadecimal digits
	URL                                string
}

func (p Locked) String() string { return p.Name + " " + p.Version }

// layer gives the packages of a layer.
func (l *Lock) layer(name string) (list []Locked) {
	for _, p := range l.Packages {
		if p.Layer == name {
			list = append(list, p)
		}
	}
	return list
}

// Sort puts the lines in order. Errors say that a layer has a package twice.
func (l *Lock) Sort() error {
	slices.SortFunc(l.Layers, func(a, b LockedLayer) int { return strings.Compare(a.Layer, b.Layer) })
	slices.SortFunc(l.Containers, func(a, b LockedContainer) int {
		return strings.Compare(a.Layer, b.Layer)
	})
	slices.SortFunc(l.Packages, compareLocked)
	for i := 1; i < len(l.Packages); i++ {
		if compareLocked(l.Packages[i-1], l.Packages[i]) == 0 {
			return fmt.Errorf("%w: %s is there twice", ErrLock, l.Packages[i].Name)
		}
	}
	return nil
}

func compareLocked(a, b Locked) int {
	return cmp.Or(strings.Compare(a.Layer, b.Layer), strings.Compare(a.Name, b.Name),
		strings.Compare(a.Architecture, b.Architecture))
}

// WriteTo writes the lock.
func (l *Lock) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	b.WriteString(lockMagic + "\n")
	for _, r := range l.Layers {
		fmt.Fprintf(&b, "%s %s\n", r.Layer, r.Digest)
	}
	for _, c := range l.Containers {
		fmt.Fprintf(&b, "%s %s %s\n", c.Layer, c.Digest, c.Reference)
	}
	for _, p := range l.Packages {
		fmt.Fprintf(&b, "%s %s %s %s %d %s %s\n", p.Layer, p.Name, p.Version, p.Architecture,
			p.Size, p.SHA256, p.URL)
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// ReadLock reads what WriteTo writes. Errors wrap ErrLock.
func ReadLock(r io.Reader) (*Lock, error) {
	in := bufio.NewScanner(r)
	in.Buffer(nil, lineMax)
	if !in.Scan() || in.Text() != lockMagic {
		return nil, fmt.Errorf("%w: it begins with %.40q, not with %q", ErrLock, in.Text(), lockMagic)
	}
	l := &Lock{}
	for in.Scan() {
		if err := l.line(in.Text()); err != nil {
			return nil, err
		}
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLock, err)
	}
	return l, nil
}

// line reads a line of a lock. The kinds have different numbers of words, and come in the order of
// these.
func (l *Lock) line(text string) error {
	words := strings.Split(text, " ")
	ordered := false
	switch n := len(words); {
	case slices.Contains(words, "") || n != 2 && n != 3 && n != 7:
		return fmt.Errorf("%w: the line %.80q has neither two words, three nor seven", ErrLock, text)
	case n == 2:
		ordered = len(l.Containers)+len(l.Packages) == 0 && after(l.Layers, LockedLayer{Layer: words[0]},
			func(a, b LockedLayer) int { return strings.Compare(a.Layer, b.Layer) })
		l.Layers = append(l.Layers, LockedLayer{words[0], words[1]})
	case n == 3:
		c := LockedContainer{words[0], words[1], words[2]}
		ordered = len(l.Packages) == 0 && after(l.Containers, c, func(a, b LockedContainer) int {
			return strings.Compare(a.Layer, b.Layer)
		})
		l.Containers = append(l.Containers, c)
	default:
		p, err := parseLocked(words)
		if err != nil {
			return err
		}
		ordered = after(l.Packages, p, compareLocked)
		l.Packages = append(l.Packages, p)
	}
	if !ordered || len(words) < 7 && !digestPattern.MatchString(words[1]) {
		return fmt.Errorf("%w: the line %.80q is damaged, or not in order", ErrLock, text)
	}
	return nil
}

// after tells whether an item comes behind all of a list that takes another one.
func after[T any](list []T, item T, compare func(a, b T) int) bool {
	n := len(list)
	return n == 0 || n < lockedMax && compare(list[n-1], item) < 0
}

// digestPattern is that of a container image, and of a request.
var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func parseLocked(words []string) (p Locked, err error) {
	p = Locked{Layer: words[0], Name: words[1], Version: words[2], Architecture: words[3],
		SHA256: words[5], URL: words[6]}
	p.Size, err = strconv.ParseInt(words[4], 10, 64)
	sum, err2 := hex.DecodeString(p.SHA256)
	if err != nil || p.Size < 0 || strconv.FormatInt(p.Size, 10) != words[4] || err2 != nil ||
		len(sum) != 32 || strings.ToLower(p.SHA256) != p.SHA256 {
		return p, fmt.Errorf("%w: size or hash of %s", ErrLock, p)
	}
	return p, nil
}

// LockChange is a package or container that two locks do not have alike. Old or New is "" where one
// has it not.
type LockChange struct{ Layer, Name, Old, New string }

// Changes gives what differs from an older lock.
func (l *Lock) Changes(old *Lock) (list []LockChange) {
	type key struct{ layer, name, architecture string }
	before := map[key]string{}
	for _, p := range old.Packages {
		before[key{p.Layer, p.Name, p.Architecture}] = p.Version
	}
	for _, p := range l.Packages {
		k := key{p.Layer, p.Name, p.Architecture}
		if before[k] != p.Version {
			list = append(list, LockChange{p.Layer, p.Name, before[k], p.Version})
		}
		delete(before, k)
	}
	digests := map[string]string{}
	for _, c := range old.Containers {
		digests[c.Layer+" "+c.Reference] = c.Digest
	}
	for _, c := range l.Containers {
		if before := digests[c.Layer+" "+c.Reference]; before != c.Digest {
			list = append(list, LockChange{c.Layer, c.Reference, before, c.Digest})
		}
		delete(digests, c.Layer+" "+c.Reference)
	}
	for k, digest := range digests {
		layer, reference, _ := strings.Cut(k, " ")
		list = append(list, LockChange{layer, reference, digest, ""})
	}
	for k, version := range before {
		list = append(list, LockChange{k.layer, k.name, version, ""})
	}
	slices.SortFunc(list, func(a, b LockChange) int {
		return cmp.Or(strings.Compare(a.Layer, b.Layer), strings.Compare(a.Name, b.Name))
	})
	return list
}
