//go:build !target

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"deltaup/internal/command"
	"deltaup/internal/durable"
	"deltaup/internal/human"
	"deltaup/mkimage"
	"deltaup/mkimage/modules"
	"deltaup/mkimage/rootfs"
	"deltaup/mkimage/tree"
)

// mkimageOptions are the command's flags and arguments.
type mkimageOptions struct {
	image      string
	level      string
	targetCPU  string
	targetTime time.Duration
	target     targetCPU // with --level auto
	blockSize  string
	exclude    []string
	include    []string
	order      string
	traces     []string
	traceShare float64
	previous   string
	owner      string
	mtime      string
	fromRecipe string
	plain      bool // --plain-modules
	unsigned   bool // --strip-module-signatures
	input      string
	trees      rootfs.Options // flags that only the reading of trees is about
	layers     layersOptions  // those that only definitions are about
}

func newMkimageCommand(env *Env) *command.Command {
	var o mkimageOptions
	var cmd *command.Command
	cmd = &command.Command{
		Use:   "mkimage -o IMAGE [flags] TAR|DIR|SQUASHFS|DEFINITION",
		Short: "Make a squashfs image and its recipe from a tree",
		Long: `Mkimage makes a squashfs image and beside it, as IMAGE.recipe, its recipe: all
but the files' contents. The tree is a folder, a tar archive (plain, gzip, zstd
or xz; - for standard input) or anybody's squashfs image; or a definition
(image.toml) says what it is composed from, see deltaup layers.

An archive is the tree that GNU tar would unpack from it. With --subdir a folder
of the tree is taken as the root. The image, its recipe and the traces are left
out when they lie in DIR.

The same tree gives the same bytes, wherever and from whatever it is read. Times
later than --mtime, or else SOURCE_DATE_EPOCH, become that time.

With --plain-modules kernel modules that a distribution compressed (.ko.xz,
.ko.zst, .ko.gz) are stored plain, and depmod's indexes name them so. The image
grows by some percents. Updates of the kernel become smaller, or quicker.
--strip-module-signatures cuts their signatures off as well, half of what such an
update costs, on machines that do not check them.

With --trace (see deltaup trace) or --order the data of the files named lie at
the front, in that order, as a boot reads them.

With --level auto mkimage tries all levels on some blocks of the tree and takes
the one by which the image is the smallest, among those with which a target as
--target-cpu says compresses what an update changes within --target-time. With
--previous it keeps the level of the release before where that is about as good.
Two machines may measure differently: who wants the same bytes everywhere names
the level that was chosen.

With --from-recipe the image is made from the recipe, and the argument is only
where contents are found.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.input = args[0]
			if strings.HasSuffix(o.input, definitionSuffix) {
				for _, name := range treeFlags {
					if cmd.Flags().Changed(name) {
						return &usageError{fmt.Errorf("--%s: the definition %s decides", name, o.input)}
					}
				}
			}
			for _, name := range []string{"target-cpu", "target-time"} {
				if cmd.Flags().Changed(name) && o.level != levelAuto {
					return &usageError{fmt.Errorf("--%s goes with --level auto", name)}
				}
			}
			if o.fromRecipe != "" {
				for _, name := range []string{"level", "block-size", "order", "trace", "previous", "owner", "mtime"} {
					if cmd.Flags().Changed(name) {
						return &usageError{
							fmt.Errorf(
								"--%s and --from-recipe exclude each other: the recipe decides",
								name),
						}
					}
				}
			}
			return runMkimage(ctx, env, &o)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.image, "output", "o", "", "the image to write; its recipe is IMAGE.recipe")
	f.StringVar(&o.level, "level", "best", "compression: "+strings.Join(mkimage.Levels(), ", ")+
		"; auto measures what they take")
	f.StringVar(&o.targetCPU, "target-cpu", "4x0.25",
		"for --level auto: `PROCESSORSxSPEED` of a target; one here has speed 1")
	f.DurationVar(&o.targetTime, "target-time", 30*time.Second,
		"for --level auto: how long a target may compress in an update")
	f.StringVar(&o.blockSize, "block-size", "128K",
		"size of a data block, a power of two from 4K to 1M")
	f.StringArrayVar(&o.exclude, "exclude", nil,
		"leave out what matches `PATTERN`, relative to the root; may be repeated")
	f.StringArrayVar(&o.include, "include", nil,
		"keep what matches `PATTERN` though excluded; may be repeated")
	f.StringVar(&o.trees.Subdir, "subdir", "", "take the folder `DIR` of the input as the root")
	f.Int64Var(&o.trees.Offset, "offset", 0,
		"the image of the input begins at this `BYTE`; by itself mkimage finds the only one")
	f.BoolVar(&o.trees.OneFileSystem, "one-file-system", false,
		"keep what is mounted in a folder as empty folders")
	f.BoolVar(&o.trees.KeepDirectorySymlink, "keep-directory-symlink", false,
		"keep a symbolic link to a folder when an archive has a folder of its name")
	f.BoolVar(&o.trees.IgnoreZeros, "ignore-zeros", false,
		"read the archives too that follow the end of the first")
	f.BoolVar(&o.trees.ContainerFiles, "container-files", false,
		"take layers and whiteouts of containers for files")
	f.BoolVar(&o.plain, "plain-modules", false,
		"store compressed kernel modules plain, for smaller and quicker updates")
	f.BoolVar(&o.unsigned, "strip-module-signatures", false,
		"cut the signatures of kernel modules off, too, where nothing checks them")
	o.layers.flags(cmd)
	f.StringVar(&o.order, "order", "",
		"`FILE` with paths, one a line, whose data come first in the image")
	f.StringArrayVar(&o.traces, "trace", nil,
		"`FILE` with what a boot read, whose data come first in that order; several are merged")
	f.Float64Var(&o.traceShare, "trace-share", defaultTraceShare,
		"leave out files that fewer than this `SHARE` of the traces have")
	f.StringVar(&o.previous, "previous", "",
		"`RECIPE` of the release before: its order is kept where the trace has not really changed")
	f.StringVar(&o.owner, "owner", "", "owner of everything, as `UID:GID`")
	f.StringVar(&o.mtime, "mtime", "", "latest time in the image, in `SECONDS` since 1970")
	f.StringVar(&o.fromRecipe, "from-recipe", "",
		"make the image of this `RECIPE`; the argument gives the contents")
	return cmd
}

// treeFlags are those that a definition has in itself.
var treeFlags = []string{
	"subdir", "offset", "one-file-system", "keep-directory-symlink",
	"ignore-zeros", "container-files", "owner", "mtime",
}

func runMkimage(ctx context.Context, env *Env, o *mkimageOptions) error {
	if o.image == "" {
		return &usageError{errors.New("mkimage needs -o IMAGE")}
	}
	if err := replaceable(o.image); err != nil {
		return &usageError{fmt.Errorf("-o %w", err)}
	}
	if err := o.keepsInputs(); err != nil {
		return &usageError{err}
	}
	trees, recipes, err := o.parse(env)
	if err != nil {
		return &usageError{err}
	}
	t, err := o.open(ctx, env, trees)
	if err != nil {
		return err
	}
	if t, err = o.modules(ctx, t); err != nil {
		return err
	}
	defer t.Close() // it is only read
	for _, w := range t.Warnings() {
		warn(env.Stderr, w)
	}
	if recipes.Order, err = o.dataOrder(env.Stderr, t.Entries()); err != nil {
		return err
	}
	status := newStatusLine(env)
	defer status.clear()
	recipes.Progress = func(done, total int64) { status.show("reading", done, total) }
	r, source, err := o.recipe(ctx, t, recipes)
	if err != nil {
		return err
	}
	if o.level == levelAuto {
		status.clear()
		if err := o.chooseLevel(ctx, env, r, source); err != nil {
			return err
		}
	}
	stats, err := writeImage(ctx, o.image, r, source,
		func(done, total int64) { status.show("compressing", done, total) })
	if err != nil {
		return err
	}
	status.clear()
	printf(env.Stdout, "%s: %d entries, %d contents with %s, image %s%s, codec %s\n",
		o.image, r.Entries.Len(), stats.Contents, human.Size(stats.PlainBytes),
		human.Size(stats.Size), ofPlain(stats), r.Codec)
	return nil
}

// open opens the tree, or composes that of a definition.
func (o *mkimageOptions) open(ctx context.Context, env *Env,
	trees rootfs.Options) (tree.Tree, error) {
	if strings.HasSuffix(o.input, definitionSuffix) {
		o.layers.definition, o.layers.output, o.layers.outputs = o.input, o.image, o.outputs()
		_, t, err := o.layers.compose(ctx, env)
		if err != nil {
			return nil, err
		}
		filtered, err := rootfs.Filtered(t, trees.Filter)
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		return filtered, nil
	}
	return rootfs.Open(ctx, o.input, trees)
}

// replaceable refuses an output that would take the place of a device, a folder or the like.
func replaceable(output string) error {
	if info, err := os.Stat(output); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: there is something that is no regular file", output)
	}
	return nil
}

// modules gives the tree with its kernel modules as the flags want them. It closes t when it fails.
func (o *mkimageOptions) modules(ctx context.Context, t tree.Tree) (tree.Tree, error) {
	changed, err := t, error(nil)
	if o.plain || o.unsigned {
		changed, err = modules.Plain(ctx, t)
	}
	if err == nil && o.unsigned {
		changed, err = modules.Unsigned(ctx, changed)
	}
	if err != nil {
		return nil, errors.Join(err, t.Close())
	}
	return changed, nil
}

// ofPlain is the image's share of the contents, in brackets. An image that is mostly tables has
// none that means anything.
func ofPlain(stats mkimage.BuildStats) string {
	if stats.Size > stats.PlainBytes {
		return ""
	}
	return fmt.Sprintf(" (%.1f %%)", 100*float64(stats.Size)/float64(stats.PlainBytes))
}

// keepsInputs fails when a file that is read would be replaced. Recipes may be, by a recipe: one
// that is built from stays as it is, and that of the image before is often meant to go.
func (o *mkimageOptions) keepsInputs() error {
	inputs := append([]string{o.input, o.order}, o.traces...)
	for output, inputs := range map[string][]string{
		o.image:             append(inputs, o.fromRecipe, o.previous),
		o.image + ".recipe": inputs,
	} {
		if err := keeps(output, inputs); err != nil {
			return fmt.Errorf("-o %w", err)
		}
	}
	return nil
}

// keeps fails when an output would replace a file that is read.
func keeps(output string, inputs []string) error {
	written, err := os.Stat(output)
	if err != nil {
		return nil // nothing is replaced; who writes it tells what is wrong
	}
	for _, input := range inputs {
		if read, err := os.Stat(input); err == nil && os.SameFile(read, written) {
			return fmt.Errorf("%s: it would replace %s, which is read", output, input)
		}
	}
	return nil
}

// recipe gives the recipe to build, that of the tree or the one asked for, and where its contents
// are.
func (o *mkimageOptions) recipe(ctx context.Context, t tree.Tree,
	recipes mkimage.Options) (*mkimage.Recipe, mkimage.Source, error) {
	if o.fromRecipe == "" {
		return mkimage.NewRecipe(ctx, t, recipes)
	}
	r, err := readRecipe(o.fromRecipe)
	if err != nil {
		return nil, nil, err
	}
	source, err := mkimage.FindContents(ctx, r, t, recipes.Progress)
	return r, source, err
}

// parse turns the flags into what the libraries take.
func (o *mkimageOptions) parse(
	env *Env,
) (trees rootfs.Options, recipes mkimage.Options, err error) {
	trees = o.trees
	trees.Filter = rootfs.Filter{Exclude: o.exclude, Include: o.include}
	trees.Stdin = env.Stdin
	trees.Outputs = o.outputs()
	// the recipe decides what they are
	trees.ContainerFiles = trees.ContainerFiles || o.fromRecipe != ""
	if o.trees.Offset < 0 {
		return trees, recipes, fmt.Errorf("--offset %d: want a byte of the input", o.trees.Offset)
	}
	if o.owner != "" {
		owner, err := rootfs.ParseOwner(o.owner)
		if err != nil {
			return trees, recipes, err
		}
		trees.Owner = &owner
	}
	if recipes.Level = o.level; o.level == levelAuto {
		recipes.Level = ""
		if o.target, err = parseTargetCPU(o.targetCPU, o.targetTime); err != nil {
			return trees, recipes, err
		}
	} else if _, err := mkimage.CodecFor(o.level); err != nil {
		return trees, recipes, err
	}
	if recipes.BlockSize, err = parseBlockSize(o.blockSize); err != nil {
		return trees, recipes, err
	}
	name, value := "--mtime", o.mtime
	if value == "" {
		name, value = "SOURCE_DATE_EPOCH", env.Getenv("SOURCE_DATE_EPOCH")
	}
	if value != "" && o.fromRecipe == "" {
		seconds, err := strconv.ParseUint(strings.TrimPrefix(value, "@"), 10, 32)
		if err != nil {
			return trees, recipes, fmt.Errorf("%s %q: want seconds since 1970, below 2^32", name,
				value)
		}
		clamp := uint32(seconds)
		trees.Clamp, recipes.ModTime = &clamp, &clamp
	}
	return trees, recipes, nil
}

// outputs are the files that are no part of the tree though they may lie in it: those that are
// written, and traces, which another command wrote.
func (o *mkimageOptions) outputs() []string {
	files := []string{o.image, o.image + ".recipe"}
	for _, trace := range o.traces {
		if resolved, err := filepath.EvalSymlinks(trace); err == nil { // else reading it will tell
			trace = resolved
		}
		files = append(files, trace)
	}
	return files
}

// parseBlockSize reads 131072, 128K or 1M.
func parseBlockSize(s string) (int, error) {
	digits, shift := s, 0
	if d, ok := strings.CutSuffix(s, "K"); ok {
		digits, shift = d, 10
	} else if d, ok := strings.CutSuffix(s, "M"); ok {
		digits, shift = d, 20
	}
	n, err := strconv.ParseUint(digits, 10, 21)
	if n <<= shift; err != nil || n < 4<<10 || n > 1<<20 || n&(n-1) != 0 {
		return 0, fmt.Errorf("--block-size %q: want a power of two from 4K to 1M", s)
	}
	return int(n), nil
}

func readRecipe(path string) (*mkimage.Recipe, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := mkimage.ParseRecipe(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// publisherMemory is what encoders may take here: a machine that makes images has more than a
// target.
const publisherMemory = 200 << 20

// writeImage writes image and recipe under temporary names and renames both when they are whole.
func writeImage(ctx context.Context, image string, r *mkimage.Recipe, source mkimage.Source,
	progress func(done, total int64)) (mkimage.BuildStats, error) {
	var stats mkimage.BuildStats
	out, err := durable.Create(filepath.Dir(image))
	if err != nil {
		return stats, err
	}
	defer out.Discard()
	stats, err = mkimage.Build(ctx, r, source, out,
		mkimage.BuildOptions{Memory: publisherMemory, Progress: progress})
	if err != nil {
		return stats, err
	}
	if err := out.Seal(); err != nil {
		return stats, err
	}
	recipe := func(w io.Writer) error {
		_, err := r.WriteTo(w)
		return err
	}
	if err := durable.WriteFile(filepath.Dir(image), image+".recipe", recipe); err != nil {
		return stats, err
	}
	return stats, out.Commit(image)
}
