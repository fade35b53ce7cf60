package fontcache

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// folder reads the fonts of a folder and gives its cache, and the folders in it. The error wraps
// errUnread where it has a font that is not read exactly; the folders in it are given then, too.
func (b *builder) folder(dir string, at *tree.Entry) (cache []byte, subfolders []string, err error) {
	names := slices.Clone(b.root.Names(dir))
	slices.Sort(names)
	var fonts []pattern
	var unread error
	size := 0
	for _, name := range names {
		if strings.HasPrefix(name, ".") {
			continue
		}
		full := dir + "/" + name
		e := b.root.Stat(full)
		switch {
		case e == nil:
		case e.Type == tree.Directory:
			subfolders = append(subfolders, full)
		case e.Type == tree.Regular && unread == nil:
			found, err := b.file(e, full, names)
			switch {
			case errors.Is(err, errUnread):
				unread = fmt.Errorf("%s: %w", name, err)
			case err != nil:
				return nil, nil, err
			}
			size += bytesOf(found)
			if fonts = append(fonts, found...); len(fonts) > fontsMax || size > b.room {
				unread = fmt.Errorf("%w: more than %d, or than caches have room for", errUnread, fontsMax)
			}
		}
	}
	if unread != nil {
		return nil, subfolders, unread
	}
	b.room -= size
	return encode(b.release.cache, dir, at.ModTime, subfolders, fonts), subfolders, nil
}

// file gives the patterns of a file's fonts. Errors wrap errUnread, or are those of the tree. names
// are those beside it: FreeType looks for the resources of a file that is no font in other files.
func (b *builder) file(e *tree.Entry, name string, names []string) (fonts []pattern, err error) {
	if e.Size > fontMax {
		return nil, fmt.Errorf("%w: %d bytes", errUnread, e.Size)
	}
	content, err := b.root.OpenAt(e)
	if err != nil {
		return nil, err
	}
	fonts, err = b.release.patterns(newSource(content, e.Size), name)
	if closeErr := content.Close(); closeErr != nil {
		return nil, closeErr
	}
	base := name[strings.LastIndexByte(name, '/')+1:]
	if errors.Is(err, errNoFont) {
		for _, other := range []string{"._" + base, "%" + base, base + ".resource", "resource.frk", ".AppleDouble"} {
			if slices.Contains(names, other) {
				return nil, fmt.Errorf("%w: its resources may be in %s", errUnread, other)
			}
		}
		return nil, nil
	}
	for _, p := range fonts {
		if err := b.config.substitute(p); err != nil {
			return nil, err
		}
	}
	return fonts, err
}

// patterns gives the patterns of the fonts in a file: of each font, of its instances, and of all
// that these span.
func (r *release) patterns(in *source, name string) (list []pattern, err error) {
	defer func() { // libraries panic
		if p := recover(); p != nil {
			list, err = nil, fmt.Errorf("%w: %v", errUnread, p)
		}
	}()
	return r.readPatterns(in, name)
}

// readPatterns is patterns that panics where a library does.
func (r *release) readPatterns(in *source, name string) (list []pattern, err error) {
	count, read, err := in.faces()
	if err != nil {
		return nil, err
	}
	size := 0
	for i := range count {
		f, err := read(i)
		if err != nil {
			return nil, err
		}
		if len(f.axes) > 0 && count > 1 && !r.instances {
			return nil, fmt.Errorf("%w: a collection of fonts that vary", errUnread)
		}
		f.work = in.work
		more, err := r.facePatterns(f, name, int32(i))
		if list = append(list, more...); len(list) > patternsMax {
			return nil, fmt.Errorf("%w: more than %d fonts and instances", errUnread, patternsMax)
		}
		if size += bytesOf(more); size > cachesMax {
			return nil, fmt.Errorf("%w: %d bytes of patterns", errUnread, size)
		}
		if err == errNoPattern {
			break // fontconfig reads no further
		}
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

// facePatterns gives the patterns of one font, which has a number in its file. The error is
// errNoPattern where fontconfig leaves the font out, or wraps errUnread.
func (r *release) facePatterns(f *face, name string, number int32) (list []pattern, err error) {
	if len(f.instances) > patternsMax {
		return nil, fmt.Errorf("%w: more than %d fonts and instances", errUnread, patternsMax)
	}
	var languages langSet
	add := func(id int32, at *instance, whole bool) error {
		p, err := r.query(f, name, id, at, whole, &languages)
		if err == nil {
			list = append(list, p)
		}
		return err
	}
	if err := add(number, nil, false); err != nil {
		return nil, err
	}
	for n := range f.instances {
		at := &f.instances[n]
		if at.usual(f.axes) {
			continue
		}
		if err := add(int32(n+1)<<16|number, at, false); err != nil {
			return nil, err
		}
	}
	if err := add(number, nil, true); err != nil && err != errNoPattern {
		return nil, err
	}
	return list, nil
}
