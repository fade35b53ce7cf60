package bench

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// wholeInput is a pair of releases as tools take it.
type wholeInput struct {
	trees [2]string // tars, folders or images, with boot/
	plain bool      // whether compressed kernel modules were made plain
	alone Subject   // without boot/
	with  Subject   // boot/ is in its tars; kernel and initrd are beside its image
}

// newWholeInput makes the files of a pair in a folder.
func (s *session) newWholeInput(dir, name string, trees [2]string) (*wholeInput, error) {
	w := &wholeInput{trees: trees}
	if err := w.name(dir, name, s.Level); err != nil {
		return nil, err
	}
	for v, tree := range trees {
		if err := w.alone.prepare(s.ctx, s.deltaup, v, tree); err != nil {
			return nil, err
		}
	}
	return w, w.prepareWith(s.ctx)
}

// plainModules makes the files of the same pair with plain kernel modules in a folder. All tools get
// them so. nil: all were plain before.
func (w *wholeInput) plainModules(s *session, dir string) (*wholeInput, error) {
	p := &wholeInput{trees: w.trees, plain: true}
	if err := p.name(dir, w.alone.Name, s.Level); err != nil {
		return nil, err
	}
	for v := range w.trees {
		if err := p.alone.mkimage(s.ctx, s.deltaup, v, w.alone.file("tar", v), "--plain-modules"); err != nil {
			return nil, err
		}
		if err := p.alone.writeTars(s.ctx, p.alone.file("image", v), v); err != nil {
			return nil, err
		}
		if err := p.alone.hash(v); err != nil {
			return nil, err
		}
	}
	if p.alone.ImageSum == w.alone.ImageSum {
		return nil, nil
	}
	return p, p.prepareWith(s.ctx)
}

// name gives both subjects their names and folders.
func (w *wholeInput) name(dir, name, level string) error {
	w.alone = Subject{Name: name, Level: level, dir: filepath.Join(dir, "alone")}
	w.with = Subject{Name: name, Level: level, dir: filepath.Join(dir, "with"), boot: w.trees}
	return errors.Join(os.MkdirAll(w.alone.dir, 0o755), os.MkdirAll(w.with.dir, 0o755))
}

// prepareWith makes the files of the subject with boot/, whose images are those without.
func (w *wholeInput) prepareWith(ctx context.Context) error {
	for v := range w.trees {
		if err := os.Link(w.alone.file("image", v), w.with.file("image", v)); err != nil {
			return err
		}
		if err := os.Link(w.alone.file("image", v)+".recipe", w.with.file("image", v)+".recipe"); err != nil {
			return err
		}
		if err := w.with.writeTars(ctx, w.alone.file("tar", v), v); err != nil {
			return err
		}
		if err := w.with.hash(v); err != nil {
			return err
		}
	}
	return nil
}

// file is the subject with a kernel or an initrd in the image's place.
func (w *wholeInput) file(of string) (*Subject, error) {
	s := w.with
	s.single = of
	for v := range w.trees {
		s.ImageSize[v] = sizeOf(s.file("image", v))
		var err error
		if s.ImageSum[v], err = hashFile(s.file("image", v)); err != nil {
			return nil, err
		}
	}
	return &s, nil
}

// bootNames are the names that kernels and initrds have in boot/, before their versions.
var bootNames = map[string]string{"kernel": "vmlinuz", "initrd": "initrd.img"}

// addBoot copies boot/ to both tars of a version, and its kernel and initrd to files, too. In the
// tree they lose their versions: OSTree makes deltas between files of one name, and its own layout
// gives them one.
func (s *Subject) addBoot(ctx context.Context, v int, whole, tree *tarFile) error {
	r, err := openTree(ctx, s.boot[v])
	if err != nil {
		return err
	}
	found := map[string]int{}
	err = eachEntry(r, func(h *tar.Header, content io.Reader) error {
		if !within(h.Name, "boot") {
			return nil
		}
		s.Entries[v]++
		if err := whole.WriteHeader(h); err != nil {
			return err
		}
		for of, name := range bootNames {
			if h.Typeflag != tar.TypeReg || !strings.HasPrefix(path.Base(h.Name), name+"-") {
				continue
			}
			found[of]++
			f, err := os.Create(s.file(of, v))
			if err != nil {
				return err
			}
			defer f.Close() // its bytes are hashed later
			content = io.TeeReader(content, f)
			h.Name = path.Join(path.Dir(h.Name), name)
		}
		if err := tree.header(h); err != nil {
			return err
		}
		_, err := io.Copy(io.MultiWriter(whole, tree), content)
		return err
	})
	for of := range bootNames {
		if err == nil && found[of] != 1 {
			err = fmt.Errorf("boot/ has %d files %s-*, want 1", found[of], bootNames[of])
		}
	}
	return errors.Join(err, r.Close())
}
