package bench

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/binary"
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
	defer f.Close() // it is only read
	return eachEntry(f, fn)
}

// scaled is a tree of a scale, made from the subject's old one.
type scaled struct {
	keep  float64 // share of the files that stay
	fill  int64   // bytes of random files
	edits uint64  // edited so many times: a few files differ from those of one edit less
}

// write writes the tree as a tar. The random files come first, and are left as they are in a tar of
// the same fill that is there already: they are most of it.
func (t scaled) write(s *session, path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	out := &tarFile{tar.NewWriter(f), f}
	length := fillLength(t.fill)
	st, err := f.Stat()
	if err == nil && st.Size() < length {
		err = errors.Join(fill(out.Writer, t.fill), out.Flush())
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
			return t.copy(out, h, content)
		})
	}
	return errors.Join(err, out.close())
}

// keeps decides by the path, so that all releases keep the same files.
func (t scaled) keeps(h *tar.Header) bool {
	name := h.Name
	if h.Typeflag == tar.TypeLink {
		name = h.Linkname
	} else if h.Typeflag != tar.TypeReg {
		return true
	}
	return position(name) < t.keep
}

// position is a number of [0, 1) that hangs on the text alone.
func position(text string) float64 {
	sum := sha256.Sum256([]byte(text))
	return float64(binary.LittleEndian.Uint32(sum[:])) / (1 << 32)
}

// editEvery: with each edit one of so many files changes.
var editEvery uint64 = 200

// copy copies a file with the edits that fall on it: each overwrites 32 bytes in one place.
func (t scaled) copy(w io.Writer, h *tar.Header, content io.Reader) error {
	if t.edits == 0 || h.Typeflag != tar.TypeReg || h.Size < 1024 || h.Size > 1<<20 {
		_, err := io.Copy(w, content)
		return err
	}
	b, err := io.ReadAll(content)
	if err != nil {
		return err
	}
	for edit := uint64(1); edit <= t.edits; edit++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", edit, h.Name))
		if binary.LittleEndian.Uint64(sum[:])%editEvery == 0 {
			copy(b[binary.LittleEndian.Uint64(sum[8:])%uint64(len(b)-32):], sum[:])
		}
	}
	_, err = w.Write(b)
	return err
}

// fillSize is the size of a random file.
const fillSize = 1 << 20

// fillLength is how long the files of fill are in a tar: whole blocks of 512 bytes, with one for
// each header.
func fillLength(n int64) (length int64) {
	files := (n + fillSize - 1) / fillSize
	length = files * 512
	if files > 0 {
		last := n - (files-1)*fillSize
		length += (files-1)*fillSize + (last+511)/512*512
	}
	return length
}

// fill adds random files of n bytes in all.
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

// image makes the image of a tree by way of an archive, which stays for the next one.
func (t scaled) image(s *session, archive, path string) (Usage, error) {
	if err := t.write(s, archive); err != nil {
		return Usage{}, err
	}
	h := &host{dir: s.dir}
	err := h.run(s.ctx, s.deltaup.path, "mkimage", "-o", path, "--level", s.Level, archive)
	return h.used, err
}
