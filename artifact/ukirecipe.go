package artifact

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"

	"deltaup/chunkstore"
	"deltaup/mkimage"
	"deltaup/mkimage/uki"
)

// ukiRecipe is the recipe of a unified kernel image: those of its parts, in order, each an
// initrdRecipe or a kernelRecipe. A content may be in several parts; each then has one of its own.
type ukiRecipe struct {
	parts []Recipe
	linux kernelRecipe // of parts, that of the kernel; empty unless an image was taken apart
}

const (
	ukiMagic    = "deltaup-uki 1\n"
	ukiPartsMax = 256 // more than a file is split into
)

// endLine is the last line.
func (r *ukiRecipe) endLine() string { return fmt.Sprintf("end %d\n", len(r.parts)) }

// WriteTo implements Recipe.
func (r *ukiRecipe) WriteTo(w io.Writer) (int64, error) {
	b := bytes.NewBufferString(ukiMagic)
	for _, p := range r.parts {
		if _, err := p.WriteTo(b); err != nil {
			return 0, err
		}
	}
	b.WriteString(r.endLine())
	return b.WriteTo(w)
}

// Parse implements Kind: it takes what WriteTo writes of a valid recipe and nothing else.
func (*ukiKind) Parse(text io.Reader) (Recipe, error) {
	in, r := bufio.NewReaderSize(text, 64<<10), &ukiRecipe{}
	if line, err := in.ReadSlice('\n'); err != nil || string(line) != ukiMagic {
		return nil, fmt.Errorf("%.20q: %w (%v)", line, chunkstore.ErrVersion, err)
	}
	var part []byte
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, ukiCorrupt(err)
		}
		part = append(part, line...)
		switch {
		case !bytes.HasPrefix(line, []byte("end ")):
		case len(r.parts) > ukiPartsMax:
			return nil, ukiCorrupt(nil)
		case len(part) > len(line):
			var k Kind = kernelKind{}
			if bytes.HasPrefix(part, []byte("deltaup-initrd ")) {
				k = initrdKind{}
			}
			p, err := k.Parse(bytes.NewReader(part))
			if err != nil {
				return nil, err
			}
			r.parts, part = append(r.parts, p), part[:0]
		default: // of all parts
			right := string(line) == r.endLine() && len(r.parts) > 0
			if _, err := in.ReadByte(); !right || err != io.EOF {
				return nil, ukiCorrupt(err)
			}
			return r, nil
		}
	}
}

func ukiCorrupt(err error) error {
	return fmt.Errorf("recipe of a unified kernel image: %w (%v)", chunkstore.ErrCorrupt, err)
}

// Validate implements Recipe.
func (r *ukiRecipe) Validate() (err error) {
	for i := 0; i < len(r.parts) && err == nil; i++ {
		err = r.parts[i].Validate()
	}
	return err
}

// Contents implements Recipe.
func (r *ukiRecipe) Contents() iter.Seq[*chunkstore.Content] {
	var list []*chunkstore.Content
	for _, p := range r.parts {
		list = slices.AppendSeq(list, p.Contents())
	}
	return slices.Values(list)
}

// Files implements Recipe. The files of each part are in a folder, named by what the part is, with
// a number.
func (r *ukiRecipe) Files() iter.Seq2[string, *chunkstore.Content] {
	return func(yield func(string, *chunkstore.Content) bool) {
		var initrds, raws, kernels int
		for _, p := range r.parts {
			folder, n := "initrd", &initrds
			if k, ok := p.(kernelRecipe); ok {
				if folder, n = "kernel", &kernels; k.Before == nil && k.Behind == nil {
					folder, n = "raw", &raws
				}
			}
			*n++
			folder += strconv.Itoa(*n) + "/"
			for name, c := range p.Files() {
				if !yield(folder+name, c) {
					return
				}
			}
		}
	}
}

// Chunking implements Recipe.
func (r *ukiRecipe) Chunking() chunkstore.Params { return r.parts[0].Chunking() }

// Codec implements Recipe: it gives the first codec that is not known, or the last one.
func (r *ukiRecipe) Codec() (id string, known bool) {
	for _, p := range r.parts {
		if id, known = p.Codec(); !known {
			break
		}
	}
	return id, known
}

// Build implements Recipe.
func (r *ukiRecipe) Build(ctx context.Context, src mkimage.Source,
	w io.Writer) (size int64, err error) {
	for i := 0; i < len(r.parts) && err == nil; i++ {
		var n int64
		n, err = r.parts[i].Build(ctx, src, w)
		size += n
	}
	return size, err
}

// Verify implements Recipe.
func (r *ukiRecipe) Verify(ctx context.Context, f File) error {
	parts, err := uki.Split(f, f.Size())
	if err == nil && len(parts) != len(r.parts) {
		err = fmt.Errorf("verify unified kernel image: %w", mkimage.ErrContent)
	}
	at := int64(0)
	for i := 0; i < len(r.parts) && err == nil; i++ {
		err = r.parts[i].Verify(ctx, io.NewSectionReader(f, at, parts[i].Size))
		at += parts[i].Size
	}
	return err
}

// Partial implements Recipe.
func (*ukiRecipe) Partial() bool { return true }

// with copies the recipe, and changes that of each part.
func (r *ukiRecipe) with(fn func(Recipe) Recipe) Recipe {
	made := &ukiRecipe{}
	for _, p := range r.parts {
		made.parts = append(made.parts, fn(p))
	}
	return made
}

// With implements Recipe.
func (r *ukiRecipe) With(fn func(c *chunkstore.Content) *chunkstore.Content) Recipe {
	return r.with(func(p Recipe) Recipe { return p.With(fn) })
}

// Bare implements Recipe.
func (r *ukiRecipe) Bare() Recipe { return r.with(Recipe.Bare) }
