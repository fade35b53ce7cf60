// Package iconcache makes the indexes of icon themes, byte for byte as gtk-update-icon-cache(1) of
// GTK 3.24 and 4 does, without image data. [Build] does it all.
//
// A theme whose index the program would not write, or which has .icon files, has none.
package iconcache

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"

	"deltaup/mkimage/internal/lookup"
	"deltaup/mkimage/layers/internal/glib"
	"deltaup/mkimage/tree"
)

const (
	folder = "usr/share/icons"
	name   = "icon-theme.cache"
)

// File is the index of a theme.
type File struct {
	Path    string // below the root, without a leading slash
	Content []byte
}

// Limits of what hostile trees can ask for, of each theme.
const (
	foldersMax = 1<<16 - 2
	filesMax   = 1 << 20
	textMax    = 64 << 20 // bytes of names
	stringMax  = 1023     // bytes that the program lets a name have
)

// errNone is returned for themes that get no index.
var errNone = errors.New("no index")

// Build makes the index of each theme of a tree, which stays open; none: the tree has not the
// program.
func Build(t tree.Tree) (files []File) {
	root := lookup.New(t)
	if root.Stat("usr/bin/gtk-update-icon-cache") == nil {
		return nil
	}
	for _, theme := range root.Names(folder) {
		dir := folder + "/" + theme
		e := root.Lstat(dir)
		index := root.Stat(dir + "/index.theme")
		if e == nil || e.Type != tree.Directory || index == nil || index.Type != tree.Regular {
			continue
		}
		s := &scanner{root: root}
		if err := s.folder(dir, "", nil); err != nil || s.icons.Len() == 0 {
			continue
		}
		files = append(files, File{dir + "/" + name, s.encode()})
	}
	return files
}

// scanner finds the icons of a theme.
type scanner struct {
	root    *lookup.View
	folders []string                 // that have icons
	icons   glib.HashTable[[]*image] // by name, the last one first
	files   int
	text    int // bytes of names
}

// image is an icon in one folder.
type image struct{ folder, flags uint16 }

// flags of an image: which files it has.
var suffixes = map[string]uint16{".xpm": 1, ".svg": 2, ".png": 4}

// folder takes a folder, and those below. around has the folders above.
func (s *scanner) folder(dir, below string, around []string) error {
	at := s.root.Stat(dir).Path
	if slices.Contains(around, at) {
		return errNone // a link to a folder above
	}
	around = append(slices.Clip(around), at)
	number := -1
	var found glib.HashTable[*image]
	names := slices.Clone(s.root.Names(dir))
	slices.Sort(names)
	for _, name := range names {
		if s.files++; s.files > filesMax {
			return errNone
		}
		e := s.root.Stat(dir + "/" + name)
		if e == nil {
			continue
		}
		if e.Type == tree.Directory {
			inner := name
			if below != "" {
				inner = below + "/" + name
			}
			if err := s.folder(dir+"/"+name, inner, around); err != nil {
				return err
			}
			continue
		}
		if below == "" || e.Type != tree.Regular || len(name) < len(".png") {
			continue
		}
		suffix := name[len(name)-len(".png"):]
		if strings.HasSuffix(name, ".icon") {
			return errNone
		}
		if suffixes[suffix] == 0 {
			continue
		}
		icon := strings.TrimSuffix(name, suffix)
		i, ok := found.Get(icon)
		if !ok {
			if number < 0 {
				number = len(s.folders)
				s.folders = append(s.folders, below)
			}
			s.text += len(icon) + len(below)
			if len(s.folders) > foldersMax || s.text > textMax || !plain(icon) || !plain(below) {
				return errNone
			}
			i = &image{folder: uint16(number)}
			found.Set(icon, i)
		}
		i.flags |= suffixes[suffix]
	}
	for icon, i := range found.All() {
		list, _ := s.icons.Get(icon)
		s.icons.Set(icon, slices.Insert(list, 0, i))
	}
	return nil
}

// plain tells whether the program lets a name be in an index.
func plain(s string) bool {
	return len(s) <= stringMax && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f
	})
}

// primes are the numbers of buckets, of g_spaced_primes_closest.
var primes = []int{
	11, 19, 37, 73, 109, 163, 251, 367, 557, 823, 1237, 1861, 2777, 4177, 6247, 9371, 14057, 21089,
	31627, 47431, 71143, 106721, 160073, 240101, 360163, 540217, 810343,
}

// hash is that of an icon's name.
func hash(s string) (h uint32) {
	for i := range len(s) {
		h = h<<5 - h + uint32(int32(int8(s[i])))
	}
	return h
}

// none stands for no place.
const none = ^uint32(0)

// encode writes the index. Numbers are big endian; strings end with a zero, padded to 4 bytes.
//
//	header   12 bytes: version 1.0, place of the buckets, place of the folders
//	buckets  their number, the place of the first icon of each
//	icon     place of the next one of its bucket, of its name, of its images; the name; the number
//	         of images, and 8 bytes each: folder, flags, 0
//	folders  their number, the place of the name of each; the names
func (s *scanner) encode() []byte {
	be := binary.BigEndian
	size := primes[len(primes)-1]
	for _, p := range primes {
		if p > s.icons.Len()/3 {
			size = p
			break
		}
	}
	buckets := make([][]string, size)
	for icon := range s.icons.All() {
		n := hash(icon) % uint32(size)
		buckets[n] = append(buckets[n], icon)
	}
	const first = 12
	b := be.AppendUint32(make([]byte, first), uint32(size))
	b[1], b[7] = 1, first
	b = append(b, make([]byte, 4*size)...)
	place := map[string]uint32{} // of names
	for n, bucket := range buckets {
		slices.Reverse(bucket) // the last one comes first
		last := first + 4 + 4*n
		be.PutUint32(b[last:], none)
		for _, icon := range bucket {
			at := uint32(len(b))
			be.PutUint32(b[last:], at)
			last = len(b)
			place[icon] = at + 12
			b = be.AppendUint32(b, none)
			b = be.AppendUint32(b, at+12)
			b = be.AppendUint32(b, at+12+uint32(len(icon)+4)&^3)
			b = text(b, icon)
			images, _ := s.icons.Get(icon)
			b = be.AppendUint32(b, uint32(len(images)))
			for _, i := range images {
				b = be.AppendUint16(b, i.folder)
				b = be.AppendUint16(b, i.flags)
				b = be.AppendUint32(b, 0)
			}
		}
	}
	be.PutUint32(b[8:], uint32(len(b)))
	b = be.AppendUint32(b, uint32(len(s.folders)))
	at := len(b) + 4*len(s.folders)
	var names []byte
	for _, f := range s.folders {
		p, ok := place[f] // an icon may have the name
		if !ok {
			p = uint32(at + len(names))
			names = text(names, f)
			place[f] = p
		}
		b = be.AppendUint32(b, p)
	}
	return append(b, names...)
}

func text(b []byte, s string) []byte {
	b = append(b, s...)
	return append(b, make([]byte, 4-len(s)%4)...)
}
