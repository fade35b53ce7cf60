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
	defer f.Close() // nothing was written
	return eachEntry(f, fn)
}

// scaled is a tree of a scale, made from the subject's old tree.
type scaled struct {
	keep  float64 // share of the files that stay
	fill  int64   // bytes of random files
	edits uint64  // number of edits: a few files differ from those after one edit less
}

// write writes the tree as a tar. The random files, which are most of it, come first. When path
// already has a tar of the same fill, write leaves them as they are.
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

// copy copies a file with its edits, each of which overwrites 32 bytes in one place.
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

// image makes the image of the tree from a tar at archive, which stays for the next call.
func (t scaled) image(s *session, archive, path string) (Usage, error) {
	if err := t.write(s, archive); err != nil {
		return Usage{}, err
	}
	h := &host{dir: s.dir}
	err := h.run(s.ctx, s.deltaup.path, "mkimage", "-o", path, "--level", s.Level, archive)
	return h.used, err
}
