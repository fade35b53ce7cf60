package layers

import (
	"bufio"
	"cmp"
	"encoding/hex"
	"fmt"
	"io"
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
	Packages []Locked // sorted by layer, name and architecture
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

func parseLocked(line string) (p Locked, err error) {
	words := strings.Split(line, " ")
	if len(words) != 7 || slices.Contains(words, "") {
		return p, fmt.Errorf("%w: the line %.80q has not seven words", ErrLock, line)
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

// LockChange is a package that two locks do not have alike. Old or New is "" where one has it not.
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
	for k, version := range before {
		list = append(list, LockChange{k.layer, k.name, version, ""})
	}
	slices.SortFunc(list, func(a, b LockChange) int {
		return cmp.Or(strings.Compare(a.Layer, b.Layer), strings.Compare(a.Name, b.Name))
	})
	return list
}
