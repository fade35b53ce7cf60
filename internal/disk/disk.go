// Package disk finds out what lies where on a disk or in an image of one: partitions by their
// table, and file systems by their signatures. It only reads headers, and trusts nothing in them.
// Its results serve to find things and for messages, not for mounting.
//
// [Partitions] reads the table, [FileSystem] names the file system at a place, and [Describe]
// describes the whole disk in one line.
package disk

import (
	"fmt"
	"io"
	"strings"
)

// Place is a place on a disk at which something begins.
type Place struct {
	Offset    int64 // bytes from the disk's start
	partition int   // number of the partition, as the kernel counts; 0: in no partition
}

func (p Place) String() string {
	if p.partition == 0 {
		return fmt.Sprintf("byte %d", p.Offset)
	}
	return fmt.Sprintf("partition %d at byte %d", p.partition, p.Offset)
}

// Places lists places for a sentence.
func Places(places []Place) string {
	words := make([]string, len(places))
	for i, p := range places {
		words[i] = p.String()
	}
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// maxTold is how many partitions a line names at most.
const maxTold = 8

// Describe says in one line what is on the disk in r, which has size bytes and no readable squashfs
// image: the file system at its start, the contents of its partitions, or a file system further in.
// It looks for the last at every sector of the first 16 MiB, and then at every MiB. It gives ""
// when it recognizes nothing.
func Describe(r io.ReaderAt, size int64) (string, error) {
	head, err := headAt(r, 0)
	if err != nil {
		return "", err
	}
	if name := FileSystem(head); name != "" {
		return "it is " + name, nil
	}
	table, parts, err := Partitions(r, size)
	if err != nil {
		return "", err
	}
	if len(parts) > 0 {
		return describePartitions(r, table, parts)
	}
	at, name, err := inside(r, size)
	if err != nil || name == "" {
		return "", err
	}
	return fmt.Sprintf("%s begins at byte %d", name, at), nil
}

func describePartitions(r io.ReaderAt, table string, parts []Place) (string, error) {
	var told []string
	for i, p := range parts {
		if i == maxTold {
			told = append(told, fmt.Sprintf("and %d more", len(parts)-i))
			break
		}
		head, err := headAt(r, p.Offset)
		if err != nil {
			return "", err
		}
		name := FileSystem(head)
		if name == "" {
			name = "nothing known"
		}
		told = append(told, fmt.Sprintf("%v is %s", p, name))
	}
	return fmt.Sprintf("it is a disk with partitions (%s): %s", table, strings.Join(told, ", ")), nil
}

const (
	sector = 512

	// the first bytes of a disk, at each sector of which a file system may begin
	searchBytes = 16 << 20
	stepBytes   = 1 << 20 // behind these a file system may begin at multiples of this
	maxSteps    = 1 << 16
	windowBytes = 1 << 20
)

// inside finds the first file system that begins after the start of the disk.
func inside(r io.ReaderAt, size int64) (int64, string, error) {
	buf := make([]byte, windowBytes+HeadSize)
	for off := int64(0); off < min(size, searchBytes); off += windowBytes {
		n, err := r.ReadAt(buf, off)
		if err != nil && err != io.EOF {
			return 0, "", err
		}
		for i := 0; i < min(n, windowBytes); i += sector {
			if name := FileSystem(buf[i:min(n, i+HeadSize)]); name != "" {
				return off + int64(i), name, nil
			}
		}
	}
	for i := range int64(maxSteps) {
		off := searchBytes + i*stepBytes
		if off >= size {
			break
		}
		head, err := headAt(r, off)
		if err != nil {
			return 0, "", err
		}
		if name := FileSystem(head); name != "" {
			return off, name, nil
		}
	}
	return 0, "", nil
}

// headAt reads up to HeadSize bytes.
func headAt(r io.ReaderAt, off int64) ([]byte, error) {
	head := make([]byte, HeadSize)
	n, err := r.ReadAt(head, off)
	return head[:n], unlessEOF(err)
}

func unlessEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}
