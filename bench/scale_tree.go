package bench

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

// eachEntry calls fn with every entry of the subject's old tar.
func (s *session) eachEntry(fn func(*tar.Header, io.Reader) error) error {
	f, err := os.Open(s.report.Subject.file("tar", 0))
	if err != nil {
		return err
	}
	defer f.Close() // nothing was written
	return eachEntry(f, fn)
}

// scaled is a tree of a scale, made from the subject's old tree.
type scaled struct {
	keep  float64 // share of the files that stay
	fill  int64   // bytes of random files
	small int64   // number of small files
	edits uint64  // number of edits: a few files differ from those after one edit less
}

// count tells how many regular files a tree has, and how many of them are edited.
type count struct{ files, edited int64 }

// write writes the tree as a tar. The random and the small files, which are most of it, come first.
// When path already has a tar of the same many, write leaves them as they are.
func (t scaled) write(s *session, path string) (n count, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return n, err
	}
	out := &tarFile{tar.NewWriter(f), f}
	length := fillLength(t.fill) + smallLength(t.small)
	n.files = (t.fill+fillSize-1)/fillSize + t.small
	st, err := f.Stat()
	if err == nil && st.Size() < length {
		err = errors.Join(fill(out.Writer, t.fill), small(out.Writer, t.small), out.Flush())
	}
	if err == nil {
		err = f.Truncate(length)
	}
	if err == nil {
		_, err = f.Seek(length, io.SeekStart)
	}
	if err == nil {
		err = s.eachEntry(func(h *tar.Header, content io.Reader) error {
			if !t.keeps(h) {
				return nil
			}
			if err := out.WriteHeader(h); err != nil {
				return err
			}
			if h.Typeflag == tar.TypeReg {
				n.files++
			}
			edited, err := t.copy(out, h, content)
			if edited {
				n.edited++
			}
			return err
		})
	}
	return n, errors.Join(err, out.close())
}

// keeps tells whether a file stays. It decides by the path, so that all releases keep the same
// files.
func (t scaled) keeps(h *tar.Header) bool {
	name := h.Name
	if h.Typeflag == tar.TypeLink {
		name = h.Linkname
	} else if h.Typeflag != tar.TypeReg {
		return true
	}
	return position(name) < t.keep
}

// position is a number in [0, 1) that depends on the text alone.
func position(text string) float64 {
	sum := sha256.Sum256([]byte(text))
	return float64(binary.LittleEndian.Uint32(sum[:])) / (1 << 32)
}

// editEvery says that each edit changes one of so many files.
var editEvery uint64 = 200

// copy copies a file with its edits, each of which overwrites 32 bytes in one place. It tells
// whether there is one.
func (t scaled) copy(w io.Writer, h *tar.Header, content io.Reader) (edited bool, err error) {
	if t.edits == 0 || h.Typeflag != tar.TypeReg || h.Size < 1024 || h.Size > 1<<20 {
		_, err := io.Copy(w, content)
		return false, err
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return false, err
	}
	for edit := uint64(1); edit <= t.edits; edit++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", edit, h.Name))
		if binary.LittleEndian.Uint64(sum[:])%editEvery == 0 {
			edited = true
			copy(b[binary.LittleEndian.Uint64(sum[8:])%uint64(len(b)-32):], sum[:])
		}
	}
	_, err = w.Write(b)
	return edited, err
}

// fillSize is the size of a random file, in bytes.
const fillSize = 1 << 20

// fillLength is the length of fill's files in a tar: whole blocks of 512 bytes, and one for each
// header.
func fillLength(n int64) (length int64) {
	files := (n + fillSize - 1) / fillSize
	length = files * 512
	if files > 0 {
		last := n - (files-1)*fillSize
		length += (files-1)*fillSize + (last+511)/512*512
	}
	return length
}

// fill adds random files of n bytes in all, always the same.
func fill(w *tar.Writer, n int64) error {
	random := rand.NewChaCha8([32]byte{})
	for i := 0; n > 0; i++ {
		h := &tar.Header{
			Typeflag: tar.TypeReg,
			Name:     fmt.Sprintf("./fill-%05d", i),
			Mode:     0o644,
			Size:     min(n, fillSize),
			ModTime:  time.Unix(1_700_000_000, 0),
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.CopyN(w, random, h.Size); err != nil {
			return err
		}
		n -= h.Size
	}
	return nil
}

// smallSize is the size of a small file, in bytes, and smallFolder how many of them a folder has.
const (
	smallSize   = 1500
	smallFolder = 250
)

// smallLength is the length of small's files and folders in a tar.
func smallLength(n int64) int64 {
	return n*(512+(smallSize+511)/512*512) + (n+smallFolder-1)/smallFolder*512
}

// small adds n small files of hexadecimal digits, always the same.
func small(w *tar.Writer, n int64) error {
	random := rand.NewChaCha8([32]byte{1})
	at := time.Unix(1_700_000_000, 0)
	raw := make([]byte, smallSize/2)
	for i := range n {
		folder := fmt.Sprintf("./small-%05d/", i/smallFolder)
		if i%smallFolder == 0 {
			h := tar.Header{Typeflag: tar.TypeDir, Name: folder, Mode: 0o755, ModTime: at}
			if err := w.WriteHeader(&h); err != nil {
				return err
			}
		}
		h := tar.Header{
			Typeflag: tar.TypeReg,
			Name:     fmt.Sprintf("%s%03d", folder, i%smallFolder),
			Mode:     0o644,
			Size:     smallSize,
			ModTime:  at,
		}
		if err := w.WriteHeader(&h); err != nil {
			return err
		}
		random.Read(raw)
		if _, err := io.WriteString(w, hex.EncodeToString(raw)); err != nil {
			return err
		}
	}
	return nil
}

// image makes the image of the tree from a tar at archive, which stays for the next call.
func (t scaled) image(s *session, archive, path string) (Usage, count, error) {
	n, err := t.write(s, archive)
	if err != nil {
		return Usage{}, n, err
	}
	h := &host{dir: s.dir}
	err = h.run(s.ctx, s.deltaup.path, "mkimage", "-o", path, "--level", s.Level, archive)
	return h.used, n, err
}
