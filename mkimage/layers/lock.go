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

// lockMax bounds a lock: packages, and bytes of a line.
const (
	lockedMax = 1 << 17
	lineMax   = 4 << 10
)

// Lock names the packages of a definition by their hashes.
type Lock struct {
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

// Sort puts the packages in order. Errors say that a layer has one twice.
func (l *Lock) Sort() error {
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
		if words := strings.Split(in.Text(), " "); len(words) == 3 {
			c := LockedContainer{words[0], words[1], words[2]}
			n := len(l.Containers)
			if len(l.Packages) > 0 || n == lockedMax || n > 0 && l.Containers[n-1].Layer >= c.Layer ||
				slices.Contains(words, "") || !digestPattern.MatchString(c.Digest) {
				return nil, fmt.Errorf("%w: the line of %.80q is damaged, or not in order", ErrLock,
					c.Reference)
			}
			l.Containers = append(l.Containers, c)
			continue
		}
		p, err := parseLocked(in.Text())
		if err != nil {
			return nil, err
		}
		if n := len(l.Packages); n == lockedMax || n > 0 && compareLocked(l.Packages[n-1], p) >= 0 {
			return nil, fmt.Errorf("%w: the line of %s is not in order", ErrLock, p)
		}
		l.Packages = append(l.Packages, p)
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrLock, err)
	}
	return l, nil
}

// digestPattern is that of a container image.
var digestPattern = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

func parseLocked(line string) (p Locked, err error) {
	words := strings.Split(line, " ")
	if len(words) != 7 || slices.Contains(words, "") {
		return p, fmt.Errorf("%w: the line %.80q has neither seven words nor three", ErrLock, line)
	}
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

// LockChange is a package or container that two locks do not have alike. Old or New is "" where one has it not.
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
