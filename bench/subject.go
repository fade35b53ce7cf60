package bench

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Subject is the pair of releases that all tools get, without boot/ unless it says so.
type Subject struct {
	Name      string    `json:"name"`
	ImageSize [2]int64  `json:"image_bytes"` // old, new
	TarSize   [2]int64  `json:"tar_bytes"`
	Entries   [2]int    `json:"entries"`
	ImageSum  [2]string `json:"image_sha256"`
	TarSum    [2]string `json:"tar_sha256"`
	Level     string    `json:"level"`
	// making each image; every publisher pays it, so the table leaves it out
	Mkimage [2]Usage `json:"mkimage"`

	dir string
	// trees whose boot/ is part of the tars, with kernel and initrd as files, too; "": it is left out
	boot [2]string
	// "kernel" or "initrd": that file is in the image's place, for tools that bring files; "": none is
	single string
}

// file is the path of the old (0) or new (1) image, tar, kernel, initrd, or "tree": the tar that
// OSTree takes, without devices.
func (s *Subject) file(of string, version int) string {
	if of == "image" && s.single != "" {
		of = s.single
	}
	name := map[string]string{
		"image": "squashfs", "tar": "tar", "tree": "tree.tar", "kernel": "vmlinuz", "initrd": "initrd.img",
	}[of]
	return filepath.Join(s.dir, fmt.Sprintf("v%d.%s", version+1, name))
}

// sum is the SHA-256 of the new file, in hex.
func (s *Subject) sum(of string) string {
	if of == "image" {
		return s.ImageSum[1]
	}
	return s.TarSum[1]
}

// prepareSubject makes tars and images of two trees in dir. Each tree is a tar, a folder, or a
// squashfs image.
func prepareSubject(ctx context.Context, d deltaup, dir, name, level string,
	inputs [2]string) (*Subject, error) {
	s := &Subject{Name: name, Level: level, dir: dir}
	for v, input := range inputs {
		if err := s.prepare(ctx, d, v, input); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// prepare makes the tars and the image of one version.
func (s *Subject) prepare(ctx context.Context, d deltaup, v int, input string) error {
	if err := s.writeTars(ctx, input, v); err != nil {
		return fmt.Errorf("%s: %w", input, err)
	}
	if err := s.mkimage(ctx, d, v, s.file("tar", v)); err != nil {
		return err
	}
	return s.hash(v)
}

// mkimage makes the image of one version out of a tar.
func (s *Subject) mkimage(ctx context.Context, d deltaup, v int, tar string, flags ...string) error {
	h := &host{dir: s.dir}
	args := append([]string{"mkimage", "-o", s.file("image", v), "--level", s.Level}, flags...)
	err := h.run(ctx, d.path, append(args, tar)...)
	s.Mkimage[v] = h.used
	return err
}

// hash notes sizes and hashes of one version.
func (s *Subject) hash(v int) (err error) {
	if s.ImageSum[v], err = hashFile(s.file("image", v)); err != nil {
		return err
	}
	if s.TarSum[v], err = hashFile(s.file("tar", v)); err != nil {
		return err
	}
	s.ImageSize[v], s.TarSize[v] = sizeOf(s.file("image", v)), sizeOf(s.file("tar", v))
	return nil
}

// writeTars copies a tree to both tars of a version.
func (s *Subject) writeTars(ctx context.Context, input string, v int) error {
	r, err := openTree(ctx, input)
	if err != nil {
		return err
	}
	whole, err := newTarFile(s.file("tar", v))
	if err != nil {
		return errors.Join(err, r.Close())
	}
	tree, err := newTarFile(s.file("tree", v))
	if err != nil {
		return errors.Join(err, whole.close(), r.Close())
	}
	err = eachEntry(r, func(h *tar.Header, content io.Reader) error {
		if within(h.Name, "boot") {
			return nil
		}
		s.Entries[v]++
		if err := errors.Join(whole.WriteHeader(h), tree.header(h)); err != nil {
			return err
		}
		_, err := io.Copy(io.MultiWriter(whole, tree), content)
		return err
	})
	if err == nil && s.boot[v] != "" {
		err = s.addBoot(ctx, v, whole, tree)
	}
	return errors.Join(err, whole.close(), tree.close(), r.Close())
}

// within tells whether a name in a tar lies below a folder of the root. The folder itself does not.
func within(name, folder string) bool {
	rest, ok := strings.CutPrefix(strings.TrimLeft(name, "./"), folder+"/")
	return ok && rest != ""
}

// eachEntry calls fn with every entry of a tar.
func eachEntry(r io.Reader, fn func(*tar.Header, io.Reader) error) error {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if err == io.EOF {
			// read to the end, so that the writing process does not die of a closed pipe
			_, err = io.Copy(io.Discard, r)
			return err
		}
		if err != nil {
			return err
		}
		if err := fn(h, t); err != nil {
			return err
		}
	}
}

// tarFile writes a tar to a file.
type tarFile struct {
	*tar.Writer
	f *os.File
}

func newTarFile(path string) (*tarFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	return &tarFile{tar.NewWriter(f), f}, nil
}

// header writes a header, unless it is that of a device.
func (t *tarFile) header(h *tar.Header) error {
	if h.Typeflag == tar.TypeChar || h.Typeflag == tar.TypeBlock {
		return nil
	}
	return t.WriteHeader(h)
}

func (t *tarFile) close() error { return errors.Join(t.Writer.Close(), t.f.Close()) }

// openTree reads a tar, a folder or a squashfs image as a tar.
func openTree(ctx context.Context, path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	magic := make([]byte, 4)
	if !st.IsDir() {
		if _, err := f.ReadAt(magic, 0); err != nil {
			return nil, errors.Join(err, f.Close())
		}
	}
	switch {
	case st.IsDir():
		return pipeFrom(
			exec.CommandContext(
				ctx,
				"tar",
				"-C",
				path,
				"--sort=name",
				"--numeric-owner",
				"--format=pax",
				"--pax-option=delete=atime,delete=ctime",
				"--xattrs",
				"--one-file-system",
				"-cf",
				"-",
				".",
			),
			f,
		)
	case string(magic) == "hsqs":
		return pipeFrom(exec.CommandContext(ctx, "sqfs2tar", path), f)
	}
	return f, nil
}

// pipe reads the output of a command.
type pipe struct {
	io.ReadCloser
	cmd *exec.Cmd
}

// pipeFrom starts a command and closes f, the command's input.
func pipeFrom(cmd *exec.Cmd, f *os.File) (io.ReadCloser, error) {
	if err := f.Close(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &pipe{out, cmd}, nil
}

func (p *pipe) Close() error {
	if err := errors.Join(p.ReadCloser.Close(), p.cmd.Wait()); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(p.cmd.Path), err)
	}
	return nil
}

// hashFile is a file's SHA-256 in hex.
func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // nothing was written
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
