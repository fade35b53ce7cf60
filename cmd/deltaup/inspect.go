//go:build !target

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/klauspost/compress/zstd"

	"deltaup/chunkstore"
	"deltaup/internal/command"
	"deltaup/internal/disk"
	"deltaup/internal/human"
	"deltaup/internal/plainfile"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/squashfs"
	"deltaup/mkimage/tree"
)

func newInspectCommand(env *Env) *command.Command {
	var asJSON bool
	cmd := &command.Command{
		Use:   "inspect FILE",
		Short: "Show what an image, recipe, pack or index holds",
		Long: `Inspect tells what FILE is by its first bytes and shows it: a squashfs image of
anybody, a recipe (as mkimage writes it or, compressed, as a mirror keeps it), a
pack or an index.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			r, err := inspect(ctx, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(env.Stdout, r)
			}
			return writeReport(env.Stdout, r)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// report is what inspect tells of one file.
type report struct {
	Kind  string `json:"kind"`
	Facts facts  `json:"facts"`
	// Rows are the frames of a pack, or the packs of an index: structs of one type.
	Rows []any `json:"rows,omitempty"`
}

// facts are names with values, in the order in which they are shown.
type facts []fact

type fact struct {
	name  string
	value any
}

// inUnits adds people's units to a large number of bytes.
func (f fact) inUnits() string {
	n, ok := f.value.(int64)
	if !ok || n < 1000 ||
		!strings.HasPrefix(f.name, "bytes") && !strings.HasSuffix(f.name, "bytes") {
		return ""
	}
	return " (" + human.Size(n) + ")"
}

// MarshalJSON writes an object in the order of the facts.
func (f facts) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, x := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(x.value)
		if err != nil {
			return nil, err
		}
		b.WriteString(strconv.Quote(x.name) + ":")
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func writeReport(w io.Writer, r *report) error {
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	printf(out, "kind\t%s\n", r.Kind)
	for _, f := range r.Facts {
		printf(out, "%s\t%v%s\n", strings.ReplaceAll(f.name, "_", " "), f.value, f.inUnits())
	}
	if err := out.Flush(); err != nil {
		return err
	}
	for _, row := range r.Rows {
		if err := printf(w, "%s\n", row); err != nil {
			return err
		}
	}
	return nil
}

// kinds are the formats that inspect knows, by their first bytes.
var kinds = []struct {
	magic string
	read  func(context.Context, *os.File, int64) (*report, error)
}{
	{"hsqs", inspectImage},
	{"deltaup-recipe", inspectRecipe},
	{"\x28\xb5\x2f\xfd", inspectStoredRecipe},
	{"DUPACK", inspectPack},
	{"DUINDX", inspectIndex},
}

func inspect(ctx context.Context, path string) (*report, error) {
	f, err := plainfile.OpenDevice(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd) // Stat has no size for a block device
	if err != nil {
		return nil, err
	}
	var head [16]byte
	if _, err := f.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, k := range kinds {
		if bytes.HasPrefix(head[:], []byte(k.magic)) {
			r, err := k.read(ctx, f, size)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			return r, nil
		}
	}
	if found, err := squashfs.FindAll(f, size); err == nil {
		r, err := reportImage(ctx, found[0])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if len(found) > 1 {
			r.Facts = append(r.Facts, fact{"images_at", squashfs.Places(found)})
		}
		return r, nil
	}
	if what, err := disk.Describe(f, size); err == nil && what != "" {
		return nil, fmt.Errorf("%s: %w: %s", path, errKind, what)
	}
	return nil, fmt.Errorf("%s: %w", path, errKind)
}

func inspectImage(ctx context.Context, f *os.File, size int64) (*report, error) {
	m, err := squashfs.Open(f, size)
	if err != nil {
		return nil, err
	}
	return reportImage(ctx, m)
}

func reportImage(ctx context.Context, m *squashfs.Image) (*report, error) {
	count := make(map[tree.Type]int)
	var plain int64
	entries := 0
	err := m.Walk(func(n *squashfs.Node) error {
		entries++
		count[n.Type]++
		plain += n.Size
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	info := m.Info()
	r := &report{Kind: "squashfs image", Facts: facts{
		{"bytes_used", info.BytesUsed},
		{"compression", info.Compression},
		{"block_size", info.BlockSize},
		{"mtime", info.ModTime},
		{"inodes", info.Inodes},
		{"fragment_blocks", info.Fragments},
		{"owners", info.IDs},
		{"entries", entries},
		{"folders", count[tree.Directory]},
		{"files", count[tree.Regular]},
		{"symbolic_links", count[tree.Symlink]},
		{"file_bytes", plain},
	}}
	if m.Start() > 0 {
		r.Facts = append(r.Facts, fact{"begins_at", m.Start()})
	}
	told, ok, err := mkimage.ReadTrailer(m)
	if err != nil {
		return nil, err
	}
	if ok {
		r.Facts = append(r.Facts, fact{"codec", told.Codec},
			fact{"chunking", chunking(told.Chunking)}, fact{"first", told.First})
	}
	return r, nil
}

func chunking(p chunkstore.Params) string {
	return fmt.Sprintf("%d/%d/%d", p.Min, p.Average, p.Max)
}

func inspectRecipe(_ context.Context, f *os.File, size int64) (*report, error) {
	return reportRecipe(io.NewSectionReader(f, 0, size))
}

// inspectStoredRecipe reads a recipe as a mirror keeps it.
func inspectStoredRecipe(_ context.Context, f *os.File, size int64) (*report, error) {
	d, err := zstd.NewReader(io.NewSectionReader(f, 0, size),
		zstd.WithDecoderMaxMemory(mirror.MaxRecipeSize))
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return reportRecipe(io.LimitReader(d, mirror.MaxRecipeSize))
}

func reportRecipe(in io.Reader) (*report, error) {
	r, err := mkimage.ParseRecipe(in)
	if err != nil {
		return nil, err
	}
	contents, links := 0, 0
	var plain int64
	for c := range r.Contents() {
		contents++
		plain += c.Size
	}
	for _, e := range r.Entries.All() {
		if e.Link != "" {
			links++
		}
	}
	chunks := r.Chunks()
	var distinct int64
	for _, c := range chunks {
		distinct += c.Size
	}
	return &report{Kind: "recipe", Facts: facts{
		{"version", 1},
		{"codec", r.Codec},
		{"codec_known", mkimage.KnownCodec(r.Codec)},
		{"block_size", r.BlockSize},
		{"mtime", r.ModTime},
		{"chunking", chunking(r.Chunking)},
		{"entries", r.Entries.Len()},
		{"hard_links", links},
		{"contents", contents},
		{"content_bytes", plain},
		{"chunks", len(chunks)},
		{"chunk_bytes", distinct},
		{"first", len(r.First)},
	}}, nil
}

// frameRow is one frame of a pack.
type frameRow struct {
	ID     chunkstore.ID `json:"blake3"`
	Size   int64         `json:"size"`
	Offset int64         `json:"offset"`
	Length int64         `json:"length"`
}

func (r frameRow) String() string {
	return fmt.Sprintf("%v %8d %10d %8d", r.ID, r.Size, r.Offset, r.Length)
}

func inspectPack(_ context.Context, f *os.File, size int64) (*report, error) {
	entries, err := chunkstore.ReadPackTable(f, size)
	if err != nil {
		return nil, err
	}
	r := &report{Kind: "pack"}
	var plain, stored int64
	for _, e := range entries {
		plain += e.Size
		stored += e.Length
		r.Rows = append(r.Rows, frameRow{e.ID, e.Size, e.Offset, e.Length})
	}
	r.Facts = facts{{"frames", len(entries)}, {"chunk_bytes", plain}, {"frame_bytes", stored}}
	return r, nil
}

// packRow is one pack of an index.
type packRow struct {
	ID   chunkstore.ID `json:"blake3"`
	Size int64         `json:"size"`
}

func (r packRow) String() string { return fmt.Sprintf("%v %12d", r.ID, r.Size) }

func inspectIndex(_ context.Context, f *os.File, _ int64) (*report, error) {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, mirror.MaxIndexSize+1))
	if err != nil {
		return nil, err
	}
	x, err := chunkstore.ParseIndex(b)
	if err != nil {
		return nil, err
	}
	r := &report{
		Kind:  "index",
		Facts: facts{{"packs", len(x.Packs)}, {"image_chunks", len(x.Image)}},
	}
	for _, raw := range x.Raw {
		r.Facts = append(
			r.Facts,
			fact{
				"raw_" + raw.Name,
				fmt.Sprintf("%d bytes, %d chunks", raw.Content.Size, len(raw.Locations)),
			},
		)
	}
	for _, p := range x.Packs {
		r.Rows = append(r.Rows, packRow{p.ID, p.Size})
	}
	return r, nil
}
