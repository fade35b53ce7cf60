package squashfs

import (
	"fmt"
	"slices"
	"strings"

	"deltaup/mkimage/tree"
)

// xattrSetMax is how many bytes of names and values one inode may have at most. Linux lists at most
// 64 KiB of names, and no root file system has this many bytes of values.
const xattrSetMax = 1 << 20

// openXattrs finds the xattr tables. In an image without them no inode has xattrs, whatever its
// record says, as in Linux.
func (m *Image) openXattrs(s *superblock) error {
	if s.XattrTable == noTable {
		return nil
	}
	if s.XattrTable > s.BytesUsed-xattrTableSize {
		return fmt.Errorf("%w: xattr table at %d does not fit in", ErrCorrupt, s.XattrTable)
	}
	var buf [xattrTableSize]byte
	if err := m.readFull(buf[:], int64(s.XattrTable)); err != nil {
		return fmt.Errorf("xattr table: %w", err)
	}
	var t xattrTable
	if err := unmarshal(buf[:], &t); err != nil {
		return err
	}
	if t.Count == 0 {
		return nil
	}
	if t.Pairs < superblockSize || t.Pairs >= s.XattrTable {
		return fmt.Errorf("%w: xattrs at %d, their table at %d", ErrCorrupt, t.Pairs, s.XattrTable)
	}
	m.pairs = metaTable{"xattr", int64(t.Pairs), int64(s.XattrTable)}
	m.xattrIDs = lookupTable{
		name: "xattr id",
		list: int64(s.XattrTable) + xattrTableSize,
		n:    int64(t.Count),
		size: xattrIDSize,
	}
	return m.xattrIDs.validate(m.used)
}

// xattrs gives the set with an index in the xattr id table. Callers may share it.
func (m *Image) xattrs(index uint32) ([]tree.Xattr, error) {
	if index == noXattr || m.xattrIDs.n == 0 {
		return nil, nil
	}
	return m.xattrCache.get(index, func() ([]tree.Xattr, error) {
		set, err := m.readXattrs(index)
		if err != nil {
			return nil, fmt.Errorf("xattr set %d: %w", index, err)
		}
		return set, nil
	})
}

func (m *Image) readXattrs(index uint32) ([]tree.Xattr, error) {
	b, err := m.lookup(&m.xattrIDs, int64(index))
	if err != nil {
		return nil, err
	}
	var id xattrID
	if err := unmarshal(b, &id); err != nil {
		return nil, err
	}
	cur := m.cursor(&m.pairs, inodeRef(id.Ref))
	var read []*tree.Xattr
	total := 0
	for range id.Count {
		x, err := m.readXattr(&cur)
		if err != nil {
			return nil, err
		}
		total += len(x.Name) + len(x.Value)
		if total > xattrSetMax {
			return nil, fmt.Errorf("%w: more than %d bytes of extended attributes on one inode",
				ErrUnsupported, xattrSetMax)
		}
		read = append(read, &x)
	}
	slices.SortFunc(read, func(a, b *tree.Xattr) int { return strings.Compare(a.Name, b.Name) })
	var set []tree.Xattr
	for i, x := range read {
		if i > 0 && x.Name == read[i-1].Name {
			return nil, fmt.Errorf("%w: attribute %q twice", ErrCorrupt, x.Name)
		}
		set = append(set, *x)
	}
	return set, nil
}

// readXattr reads one pair. It leaves cur behind the pair.
func (m *Image) readXattr(cur *metaCursor) (tree.Xattr, error) {
	var key xattrKey
	if err := cur.record(&key, xattrKeySize); err != nil {
		return tree.Xattr{}, err
	}
	prefix, outOfLine, err := key.prefix()
	if err != nil {
		return tree.Xattr{}, err
	}
	n := int(key.NameSize)
	if n == 0 || len(prefix)+n > XattrNameMax {
		return tree.Xattr{}, fmt.Errorf("%w: attribute name of %d bytes", ErrCorrupt, len(prefix)+n)
	}
	name := make([]byte, n)
	if err := cur.read(name); err != nil {
		return tree.Xattr{}, err
	}
	if slices.Contains(name, 0) {
		return tree.Xattr{}, fmt.Errorf("%w: attribute name %q", ErrCorrupt, name)
	}
	value, err := m.readXattrValue(cur, outOfLine)
	if err != nil {
		return tree.Xattr{}, fmt.Errorf("attribute %q: %w", prefix+string(name), err)
	}
	return tree.Xattr{Name: prefix + string(name), Value: value}, nil
}

// readXattrValue reads the value at cur, or with outOfLine the value to which the reference at cur
// leads.
func (m *Image) readXattrValue(cur *metaCursor, outOfLine bool) ([]byte, error) {
	var head xattrValue
	if err := cur.record(&head, xattrValueSize); err != nil {
		return nil, err
	}
	if outOfLine {
		if head.Size != xattrRefSize {
			return nil, fmt.Errorf("%w: reference of %d bytes to a value", ErrCorrupt, head.Size)
		}
		var ref inodeRef
		if err := cur.record(&ref, xattrRefSize); err != nil {
			return nil, err
		}
		there := m.cursor(&m.pairs, ref)
		return m.readXattrValue(&there, false)
	}
	if head.Size > XattrValueMax {
		return nil, fmt.Errorf("%w: value of %d bytes", ErrCorrupt, head.Size)
	}
	value := make([]byte, head.Size)
	if err := cur.read(value); err != nil {
		return nil, err
	}
	return value, nil
}
