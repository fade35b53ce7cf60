// Package disk tells what lies where on a disk or in an image of one: partitions by their table,
// and file systems by their signatures. It reads headers alone and trusts nothing in them; what it
// says is for finding things and for messages, not for mounting.
//
// Call [Partitions] for the table, [FileSystem] for what begins at a place, and [Describe] for
// one line about all of it.
package disk

import (
	"fmt"
	"io"
	"strings"
)

// Place is where on a disk something begins.
type Place struct {
	Offset    int64 // bytes from the disk's start
	partition int   // its number, as the kernel counts; 0: in no partition
}

func (p Place) String() string {
	if p.partition == 0 {
		return fmt.Sprintf("byte %d", p.Offset)
	}
	return fmt.Sprintf("partition %d at byte %d", p.partition, p.Offset)
}

// Places lists places as a sentence does.
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

// maxTold is how many partitions a line names.
const maxTold = 8

// Describe says in one line what the disk in r is, in which no squashfs image that can be opened
// was found: the file system at its start, what its partitions hold, or a file system further in.
// It looks for the latter at every sector of the first 16 MiB, and then at every MiB. It is ""
// where nothing is known of it.
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

	searchBytes = 16 << 20 // of a disk, at every sector of which a file system may begin
	stepBytes   = 1 << 20  // behind them one may begin at multiples of this
	maxSteps    = 1 << 16
	windowBytes = 1 << 20
)

// inside finds the first file system that begins further in.
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
