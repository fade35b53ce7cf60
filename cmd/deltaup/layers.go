//go:build !target

package main

import (
	"context"
	"fmt"

	"deltaup/internal/command"
)

// definitionSuffix tells a definition from archives and images.
const definitionSuffix = ".toml"

// layersOptions are the flags and arguments of the commands below layers.
type layersOptions struct {
	lock       string
	cache      string
	update     bool
	output     string
	outputs    []string // files that are written, and left out of folders
	tree       string
	all        bool
	json       bool
	definition string
}

func newLayersCommand(env *Env) *command.Command {
	cmd := &command.Command{
		Use:   "layers",
		Short: "Compose a tree from packages, folders, archives and images, without hooks",
		Long: `Layers composes the tree of a root file system as a definition says (image.toml,
see doc/layers.md): from packages, folders, archives and images, by rules that
do what packages' scripts would do. No script runs and no process is started;
the same definition and lock give the same bytes on any machine. Mkimage takes a
definition like a tree.`,
	}
	cmd.Add(newLayersLockCommand(env), newLayersBuildCommand(env), newLayersHooksCommand(env),
		newLayersCompareCommand(env), newLayersSBOMCommand(env), newLayersInitrdCommand(env),
		newLayersKernelCommand(env))
	return cmd
}

// flags are those of all commands below layers.
func (o *layersOptions) flags(cmd *command.Command) {
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.lock, "lock", "",
		"`FILE` with the packages' hashes (default: the definition's name with .lock)")
	f.StringVar(&o.cache, "cache", "",
		"folder `DIR` that keeps packages (default: deltaup/packages in the user's cache)")
}

func newLayersLockCommand(env *Env) *command.Command {
	var o layersOptions
	cmd := &command.Command{
		Use:   "lock [flags] DEFINITION",
		Short: "Resolve the packages of a definition, and write them down by hash",
		Long: `Lock asks apt, or for Alpine apk, with a root of its own, which packages those of
the definition need from its sources, and writes name, version, architecture,
size, hash and address of each. Packages of Alpine are fetched into the cache,
since their repositories do not name such hashes. Commit the lock beside the
definition. A build takes what it names.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.definition = args[0]
			return runLayersLock(ctx, env, &o)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.update, "update", false,
		"replace the lock that is there, and show what changes")
	return cmd
}

func newLayersBuildCommand(env *Env) *command.Command {
	var o layersOptions
	cmd := &command.Command{
		Use:   "build -o TAR|DIR/ [flags] DEFINITION",
		Short: "Write the composed tree as an archive or a folder",
		Long: `Build composes the tree and writes it as a tar archive, or into a new folder when
the name ends with a slash; owners in a folder need root. Packages that the cache
lacks are fetched; what has not the hash of the lock is refused.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.definition = args[0]
			return o.build(ctx, env)
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "the archive, or the folder with a slash")
	o.flags(cmd)
	return cmd
}

func newLayersHooksCommand(env *Env) *command.Command {
	var o layersOptions
	cmd := &command.Command{
		Use:   "hooks [flags] DEFINITION",
		Short: "List the scripts of packages that nothing accounts for",
		Long: `Hooks follows each script that a package's installation would run, and lists those
that would add something to the composed tree, with the commands that would. Add
what they do to the definition, or acknowledge them as printed.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.definition = args[0]
			return runLayersHooks(ctx, env, &o)
		},
	}
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.all, "all", false, "list known and acknowledged scripts, too")
	cmd.Flags().BoolVar(&o.json, "json", false, "print the scripts as JSON")
	return cmd
}

func newLayersCompareCommand(env *Env) *command.Command {
	var o layersOptions
	cmd := &command.Command{
		Use:   "compare --tree TREE [flags] DEFINITION",
		Short: "Compare the composed tree with one that hooks have made",
		Long: `Compare lists what differs from a tree that another tool made of the same packages
with their scripts, by cause: what is lacking, what differs, what is there in
addition; and apart from that what no image wants.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.definition = args[0]
			return runLayersCompare(ctx, env, &o)
		},
	}
	cmd.Flags().StringVar(&o.tree, "tree", "", "the other tree: a folder, an archive or an image")
	o.flags(cmd)
	cmd.Flags().BoolVar(&o.json, "json", false, "print the differences as JSON")
	return cmd
}

func newLayersSBOMCommand(env *Env) *command.Command {
	var o layersOptions
	var format string
	cmd := &command.Command{
		Use:   "sbom -o FILE [flags] DEFINITION",
		Short: "Write the software bill of materials of an image",
		Long: `Sbom writes the packages of the lock, with versions, hashes and package URLs, as
SPDX 2.3 or CycloneDX 1.6 in JSON. publish --sbom publishes it beside the image.
What lies in folders, archives, images, containers and packages in files is not
in it.`,
		Args: command.Exactly(1),
		Run: func(_ context.Context, args []string) error {
			o.definition = args[0]
			write, ok := bills[format]
			if !ok {
				return &usageError{fmt.Errorf("--format %s: want spdx or cyclonedx", format)}
			}
			return o.writeBill(env, write)
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "the `FILE` to write")
	cmd.Flags().StringVar(&format, "format", "spdx", "spdx or cyclonedx")
	cmd.Flags().StringVar(&o.lock, "lock", "",
		"`FILE` with the packages' hashes (default: the definition's name with .lock)")
	return cmd
}
