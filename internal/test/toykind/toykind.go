// Package toykind is a kind of artifacts for tests that prove that nothing names the kinds: a row
// of files, each with its name and size before it, not compressed. All that a kind is, is in here.
package toykind

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"

	"deltaup/artifact"
	"deltaup/chunkstore"
	"deltaup/mkimage"
)

// Name is the kind's, and of artifacts of it.
const Name = "toy"

const magic = "TOY"

// Kind is an artifact.Kind.
type Kind struct{}

// Pack makes an artifact of names and contents.
func Pack(files ...[2]string) []byte {
	b := []byte(magic + "\n")
	for _, f := range files {
		b = fmt.Appendf(b, "%s %d\n%s", f[0], len(f[1]), f[1])
	}
	return b
}

// Name implements artifact.Kind.
func (Kind) Name() string { return Name }

// Artifact implements artifact.Kind.
func (Kind) Artifact() string { return Name }

// AppendLine implements artifact.Kind.
func (Kind) AppendLine(b []byte, e *mkimage.Entry, id chunkstore.ID) []byte {
	return appendFile(b, e.Path, &chunkstore.Content{ID: id, Size: e.Content.Size})
}

// TakeApart implements artifact.Kind.
func (Kind) TakeApart(ctx context.Context, r artifact.File,
	o artifact.Options) (artifact.Recipe, mkimage.Source, error) {
	in := bufio.NewReader(r)
	if line, err := in.ReadString('\n'); line != magic+"\n" {
		return nil, nil, errors.Join(artifact.ErrUnsupported, err)
	}
	toy := &recipe{chunking: o.Chunking, codec: "toy.1"}
	if toy.chunking == (chunkstore.Params{}) {
		toy.chunking = chunkstore.DefaultParams
	}
	kept, known := source{}, map[chunkstore.ID]*chunkstore.Content{}
	for ctx.Err() == nil {
		var name string
		var size int64
		if _, err := fmt.Fscanf(in, "%s %d\n", &name, &size); errors.Is(err, io.EOF) {
			return toy, kept, nil
		} else if err != nil {
			return nil, nil, errors.Join(artifact.ErrUnsupported, err)
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(in, b); err != nil {
			return nil, nil, errors.Join(artifact.ErrUnsupported, err)
		}
		c, err := chunkstore.NewSplitter(toy.chunking).Split(bytes.NewReader(b), nil)
		if err != nil {
			return nil, nil, err
		}
		if known[c.ID] == nil {
			known[c.ID] = &c
			if o.Keep == nil || o.Keep(&c) {
				kept[c.ID] = b
			}
		}
		toy.files = append(toy.files, file{name, known[c.ID]})
	}
	return nil, nil, ctx.Err()
}

// Parse implements artifact.Kind.
func (Kind) Parse(text io.Reader) (artifact.Recipe, error) {
	r, known := &recipe{}, map[chunkstore.ID]*chunkstore.Content{}
	lines := bufio.NewScanner(text)
	var first bool
	for n := 0; lines.Scan(); n++ {
		var name, id string
		var size int64
		var err error
		switch line := lines.Text(); {
		case n == 0:
			k := &r.chunking
			_, err = fmt.Sscanf(line, "%s %d %d %d", &r.codec, &k.Min, &k.Average, &k.Max)
		case strings.HasPrefix(line, "+"): // of the content that the last file has
			if _, err = fmt.Sscanf(line, "+ %d %s", &size, &id); err == nil && first {
				var k chunkstore.ID
				if id != "-" {
					k, err = chunkstore.ParseID(id)
				}
				c := r.files[len(r.files)-1].content
				c.Chunks = append(c.Chunks, chunkstore.Chunk{ID: k, Size: size})
			}
		default:
			if _, err = fmt.Sscanf(line, "f %s %d %s", &name, &size, &id); err != nil {
				break
			}
			var k chunkstore.ID
			if k, err = chunkstore.ParseID(id); err == nil {
				if first = known[k] == nil; first {
					known[k] = &chunkstore.Content{ID: k, Size: size}
				}
				r.files = append(r.files, file{name, known[k]})
			}
		}
		if err != nil {
			return nil, errors.Join(chunkstore.ErrCorrupt, err)
		}
	}
	for _, c := range known {
		if c.Chunks == nil {
			c.Chunks = []chunkstore.Chunk{{ID: c.ID, Size: c.Size}}
		}
	}
	return r, lines.Err()
}

// source has contents in memory.
type source map[chunkstore.ID][]byte

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

// Open implements mkimage.Source.
func (s source) Open(_ context.Context, c *chunkstore.Content) (io.ReadCloser, error) {
	b, ok := s[c.ID]
	if !ok {
		return nil, chunkstore.ErrNotFound
	}
	return reader{bytes.NewReader(b)}, nil
}

// recipe is an artifact.Recipe.
type recipe struct {
	codec    string
	chunking chunkstore.Params
	files    []file
}

type file struct {
	name    string
	content *chunkstore.Content
}

func appendFile(b []byte, name string, c *chunkstore.Content) []byte {
	return fmt.Appendf(b, "f %s %d %s\n", name, c.Size, c.ID)
}

// Contents implements artifact.Recipe.
func (r *recipe) Contents() iter.Seq[*chunkstore.Content] {
	return func(yield func(*chunkstore.Content) bool) {
		seen := map[*chunkstore.Content]bool{}
		for _, f := range r.files {
			if !seen[f.content] && !yield(f.content) {
				return
			}
			seen[f.content] = true
		}
	}
}

// Files implements artifact.Recipe.
func (r *recipe) Files() iter.Seq2[string, *chunkstore.Content] {
	return func(yield func(string, *chunkstore.Content) bool) {
		for _, f := range r.files {
			if !yield(f.name, f.content) {
				return
			}
		}
	}
}

// Chunking implements artifact.Recipe.
func (r *recipe) Chunking() chunkstore.Params { return r.chunking }

// WriteTo implements artifact.Recipe.
func (r *recipe) WriteTo(w io.Writer) (int64, error) {
	k := r.chunking
	b := fmt.Appendf(nil, "%s %d %d %d\n", r.codec, k.Min, k.Average, k.Max)
	for _, f := range r.files {
		c := f.content
		b = appendFile(b, f.name, c)
		if len(c.Chunks) == 1 && c.Chunks[0].ID == c.ID {
			continue
		}
		for _, k := range c.Chunks {
			id := "-"
			if !k.IsHole() {
				id = k.ID.String()
			}
			b = fmt.Appendf(b, "+ %d %s\n", k.Size, id)
		}
	}
	n, err := w.Write(b)
	return int64(n), err
}

// Validate implements artifact.Recipe.
func (r *recipe) Validate() error {
	for _, f := range r.files {
		left := f.content.Size
		for _, k := range f.content.Chunks {
			left -= k.Size
		}
		if left != 0 {
			return fmt.Errorf("%s: %w", f.name, chunkstore.ErrCorrupt)
		}
	}
	return nil
}

// Codec implements artifact.Recipe.
func (r *recipe) Codec() (id string, known bool) { return r.codec, r.codec == "toy.1" }

// Build implements artifact.Recipe.
func (r *recipe) Build(ctx context.Context, src mkimage.Source, w io.Writer) (int64, error) {
	n, err := fmt.Fprintln(w, magic)
	size := int64(n)
	for _, f := range r.files {
		if err != nil {
			break
		}
		n, err = fmt.Fprintf(w, "%s %d\n", f.name, f.content.Size)
		if size += int64(n); err == nil {
			err = r.copy(ctx, src, f.content, w)
			size += f.content.Size
		}
	}
	return size, err
}

func (r *recipe) copy(ctx context.Context, src mkimage.Source, c *chunkstore.Content,
	w io.Writer) error {
	in, err := src.Open(ctx, c)
	if err != nil {
		return err
	}
	defer in.Close()
	_, err = io.Copy(w, chunkstore.NewVerifier(in, c.ID, c.Size))
	if _, ok := errors.AsType[*chunkstore.Mismatch](err); ok {
		err = mkimage.ErrContent
	}
	return err
}

// Verify implements artifact.Recipe.
func (r *recipe) Verify(ctx context.Context, f artifact.File) error {
	other, _, err := Kind{}.TakeApart(ctx, f, artifact.Options{Chunking: r.chunking})
	if err != nil {
		return err
	}
	var want, got bytes.Buffer
	if _, err := r.WriteTo(&want); err != nil {
		return err
	}
	if _, err := other.WriteTo(&got); err != nil {
		return err
	}
	if !bytes.Equal(want.Bytes(), got.Bytes()) {
		return mkimage.ErrContent
	}
	return nil
}

// Partial implements artifact.Recipe.
func (*recipe) Partial() bool { return false }

// With implements artifact.Recipe.
func (r *recipe) With(fn func(c *chunkstore.Content) *chunkstore.Content) artifact.Recipe {
	made := *r
	made.files = nil
	for _, f := range r.files {
		made.files = append(made.files, file{f.name, fn(f.content)})
	}
	return &made
}

// Bare implements artifact.Recipe.
func (r *recipe) Bare() artifact.Recipe { return &recipe{files: r.files} }
