//go:build !target

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"deltaup/chunkstore"
	"deltaup/delta/diff"
	"deltaup/delta/patchset"
	"deltaup/internal/command"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mkimage"
	"deltaup/mkimage/blockmap"
	"deltaup/mkimage/squashfs"
)

// diffOptions are the command's flags and arguments.
type diffOptions struct {
	mirror    string
	noPatches bool
	all       bool
	json      bool
	old, new  string
	patchCacheOptions
}

func newDiffCommand(env *Env) *command.Command {
	var o diffOptions
	cmd := &command.Command{
		Use:   "diff [flags] OLD NEW",
		Short: "Show what the step from one release to the next costs, and why",
		Long: `Diff compares two images, or with --mirror two versions on a mirror, and shows
what a target that has OLD fetches to get NEW: by route, by directory and by
file, the dearest first; what changed in time stamps, owners or order alone; and
what looks as if it need not cost anything.

It makes the patch set that publish would make, which takes a while;
--no-patches shows what the files cost without one.`,
		Args: command.Exactly(2),
		Run: func(ctx context.Context, args []string) error {
			o.old, o.new = args[0], args[1]
			return runDiff(ctx, env, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.mirror, "mirror", "", "folder of a mirror; OLD and NEW are versions of it")
	f.BoolVar(&o.noPatches, "no-patches", false, "cost files by chunks, without making patches")
	o.addCacheFlags(f)
	f.BoolVar(&o.all, "all", false, "show all files and directories, not the 20 dearest")
	f.BoolVar(&o.json, "json", false, "print the report as JSON")
	return cmd
}

func runDiff(ctx context.Context, env *Env, o *diffOptions) error {
	status := newStatusLine(env)
	defer status.clear()
	cache, closeCache, err := o.openCache(func(text string) {
		status.clear()
		warn(env.Stderr, text)
	})
	if err != nil {
		return err
	}
	defer closeCache()
	report, err := o.compare(ctx, status, cache)
	status.clear()
	if err != nil {
		return err
	}
	if !o.all {
		report.Files = report.Files[:min(len(report.Files), topFiles)]
		report.Directories = report.Directories[:min(len(report.Directories), topFiles)]
	}
	if o.json {
		return printJSON(env.Stdout, report)
	}
	printDiff(env.Stdout, o, report)
	return nil
}

// topFiles is how many files and directories are shown without --all.
const topFiles = 20

// diffPhases names the phases for people.
var diffPhases = map[diff.Phase]string{
	diff.PhaseChunks:   "compressing chunks",
	diff.PhaseSearch:   "looking for bases",
	diff.PhasePatches:  "making patches",
	diff.PhaseCompress: "compressing patches",
	diff.PhaseReasons:  "looking for reasons",
}

func (o *diffOptions) compare(ctx context.Context, status *statusLine,
	cache patchset.Keeper) (*diff.Report, error) {
	options := diff.Options{
		NoPatches: o.noPatches, Cache: cache,
		Progress: func(phase diff.Phase, done, total int64) { status.show(diffPhases[phase], done, total) },
	}
	old, new := o.old, o.new
	if o.mirror != "" {
		var err error
		if old, _, err = onMirror(ctx, o.mirror, o.old); err != nil {
			return nil, err
		}
		var release *mirror.Release
		if new, release, err = onMirror(ctx, o.mirror, o.new); err != nil {
			return nil, err
		}
		options.LeftOut = mirror.LeftOutCost(release)
		if options.Frame, err = framesOf(ctx, o.mirror, release); err != nil {
			return nil, err
		}
	}
	from, err := openSide(ctx, old, status)
	if err != nil {
		return nil, err
	}
	defer from.image.Close() // read only
	to, err := openSide(ctx, new, status)
	if err != nil {
		return nil, err
	}
	defer to.image.Close()
	return diff.Compare(ctx, from.side, to.side, options)
}

// onMirror finds the image of a version.
func onMirror(ctx context.Context, dir, version string) (string, *mirror.Release, error) {
	r, err := mirror.ReadRelease(ctx, folder.At(dir), version)
	if err != nil {
		return "", nil, err
	}
	a := r.Artifact(mirror.ImageName)
	if a == nil || a.Kind != mirror.KindSquashfs {
		return "", nil, fmt.Errorf("version %s: %w", version, errNoSquashfs)
	}
	return filepath.Join(dir, filepath.FromSlash(mirror.ImagePath(a.ID))), r, nil
}

var errNoSquashfs = errors.New("has no squashfs image with a recipe")

// framesOf tells how long the stored chunks of a release are.
func framesOf(ctx context.Context, dir string,
	r *mirror.Release) (func(chunkstore.Chunk) int64, error) {
	at, err := mirror.ReadLocations(ctx, folder.At(dir), r)
	if err != nil {
		return nil, err
	}
	return func(c chunkstore.Chunk) int64 { return at[c.ID].Length }, nil
}

// openedSide is an image that is compared.
type openedSide struct {
	image *squashfs.ImageFile
	side  diff.Side
}

// openSide opens an image and derives its recipe, which for one of ours is the one that it was made
// from.
func openSide(ctx context.Context, path string, status *statusLine) (*openedSide, error) {
	m, err := openImage(path)
	if err != nil {
		return nil, err
	}
	s := &openedSide{image: m}
	if err := s.read(ctx, filepath.Base(path), status); err != nil {
		m.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *openedSide) read(ctx context.Context, name string, status *statusLine) error {
	d, err := mkimage.Derive(ctx, s.image.Image, chunkstore.Params{}, mkimage.DeriveOptions{
		Progress: func(done, total int64) { status.show("reading "+name, done, total) },
	})
	if err != nil {
		return err
	}
	s.side = diff.Side{Recipe: d.Recipe, Contents: patchset.FromImage(d)}
	s.side.Blocks, err = blockmap.Make(ctx, s.image.Image, s.image, s.image.Size())
	return err
}
