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

// write writes the tree as a tar.
func (t scaled) write(s *session, path string) error {
	out, err := newTarFile(path)
	if err != nil {
		return err
	}
	err = s.eachEntry(func(h *tar.Header, content io.Reader) error {
		if !t.keeps(h) {
			return nil
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		return t.copy(out, h, content)
	})
	if err == nil {
		err = fill(out.Writer, t.fill)
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
const editEvery = 200

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

// fill adds random files of n bytes in all.
func fill(w *tar.Writer, n int64) error {
	random := rand.NewChaCha8([32]byte{})
	for i := 0; n > 0; i++ {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: fmt.Sprintf("./fill-%05d", i), Mode: 0o644, Size: min(n, fillSize), ModTime: time.Unix(1_700_000_000, 0)}
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

// image makes the image of a tree, and nothing that is left behind.
func (t scaled) image(s *session, path string) error {
	archive := path + ".tar"
	if err := t.write(s, archive); err != nil {
		return err
	}
	h := &host{dir: s.dir}
	return errors.Join(h.run(s.ctx, s.deltaup.path, "mkimage", "-o", path, "--level", s.Level, archive), os.Remove(archive))
}
