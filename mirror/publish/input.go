package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"deltaup/internal/plainfile"
	"deltaup/mirror"
	"deltaup/mirror/internal/verify"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
)

// input is one file to publish.
type input struct {
	name   string
	kind   string
	file   File // as it was wanted
	f      *os.File
	object mirror.Object // of the whole file, as it was when it was hashed
	apart  *apart        // nil: it is the image, or raw
}

// fallsBack tells whether a file is stored beside what it is built of.
func (f *input) fallsBack() bool { return f.apart != nil && f.apart.same && f.file.Fallback }

// inputs are all files to publish, the image first.
type inputs struct {
	files  []*input
	recipe *mkimage.Recipe // of the image, nil without one
	plain  []byte          // the recipe as a file

	warnings []string
}

func (in *inputs) close() {
	for _, f := range in.files {
		f.f.Close() // read only
		if f.apart != nil {
			f.apart.spool.Discard()
		}
	}
}

// open opens and hashes all files and parses the recipe.
func (u *publisher) open(ctx context.Context) (_ *inputs, err error) {
	in := &inputs{}
	defer func() {
		if err != nil {
			in.close()
		}
	}()
	if u.p.Image != "" {
		if in.plain, in.recipe, err = readRecipe(u.p.Image + RecipeSuffix); err != nil {
			return nil, err
		}
		if err := in.add(mirror.ImageName, mirror.KindSquashfs, u.p.Image); err != nil {
			return nil, err
		}
	}
	for _, a := range u.p.Artifacts {
		if err := in.add(a.Name, mirror.KindRaw, a.Path); err != nil {
			return nil, err
		}
		in.files[len(in.files)-1].file = a
	}
	var done, total int64
	for _, f := range in.files {
		total += f.object.Size
	}
	progress := u.progress(StageHash)
	for _, f := range in.files {
		id, err := verify.Hash(ctx, io.NewSectionReader(f.f, 0, f.object.Size), func(n int) {
			done += int64(n)
			progress(done, total)
		})
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.f.Name(), err)
		}
		f.object.ID = id
	}
	if err := u.takeApart(ctx, in); err != nil {
		return nil, err
	}
	return in, nil
}

// add opens one file and takes its size.
func (in *inputs) add(name, kind, path string) error {
	// a device has no size of its own here, and a pipe cannot be read twice
	f, err := plainfile.Open(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	in.files = append(in.files,
		&input{name: name, kind: kind, f: f, object: mirror.Object{Size: info.Size()}})
	return nil
}

func readRecipe(path string) ([]byte, *mkimage.Recipe, error) {
	plain, err := plainfile.Read(path, mirror.MaxPlainRecipeSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf(
			"%w: the image has no recipe beside it; make both with mkimage, or publish the file raw",
			err,
		)
	}
	if err != nil {
		return nil, nil, err
	}
	r, err := mkimage.ParseRecipe(bytes.NewReader(plain))
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return plain, r, nil
}

// verify proves that the image is what its recipe says: all contents are there, cut as the
// recipe says, and recipe and contents build the same bytes into out.
// It returns the image as it was read.
func (u *publisher) verify(ctx context.Context, in *inputs, out io.WriterAt) (*opened, error) {
	image := in.files[0]
	m, err := squashfs.Open(image.f, image.object.Size)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.p.Image, err)
	}
	d, err := mkimage.Derive(ctx, m, in.recipe.Chunking,
		mkimage.DeriveOptions{Progress: u.progress(StageVerify)})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", u.p.Image, err)
	}
	var derived bytes.Buffer
	if _, err := d.Recipe.WriteTo(&derived); err != nil {
		return nil, err
	}
	if !bytes.Equal(derived.Bytes(), in.plain) {
		return nil, fmt.Errorf("%s: %w: the image's own recipe is another one", u.p.Image,
			ErrMismatch)
	}
	src := d.Source(in.recipe)
	stats, err := mkimage.Build(ctx, in.recipe, src, out,
		mkimage.BuildOptions{Progress: u.progress(StageBuild)})
	if err != nil {
		return nil, fmt.Errorf("build %s again: %w", u.p.Image, err)
	}
	if stats.Size != image.object.Size {
		return nil, fmt.Errorf("%s: %w: the recipe builds %d bytes, the image has %d", u.p.Image,
			ErrMismatch, stats.Size, image.object.Size)
	}
	return &opened{file: image.f, image: m, contents: d, source: src}, nil
}

// opened is the image that is published.
type opened struct {
	file     io.ReaderAt
	image    *squashfs.Image
	contents *mkimage.Derived
	source   mkimage.Source
}
