//go:build !target

package main

import (
	"context"
	"io"

	"deltaup/internal/command"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/layers/initramfs"
	"deltaup/mkimage/tree"
)

func newLayersInitrdCommand(env *Env) *command.Command {
	var o layersOptions
	cmd := &command.Command{
		Use:   "initrd -o FILE [flags] DEFINITION",
		Short: "Write the initrd of the composed tree",
		Long: `Initrd composes an initrd that boots a slot with the tree's image, of the tree's own
programs, libraries and kernel modules, as [initrd] of the definition says. The
same definition and lock give the same bytes. Publish it as it is.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.definition = args[0]
			return o.write(ctx, env, func(d *layers.Definition, t tree.Tree, w io.Writer) error {
				return initramfs.Write(ctx, w, t, &d.Initrd, d.Time)
			})
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "the initrd")
	o.flags(cmd)
	return cmd
}

func newLayersKernelCommand(env *Env) *command.Command {
	var o layersOptions
	cmd := &command.Command{
		Use:   "kernel -o FILE [flags] DEFINITION",
		Short: "Write the kernel of the composed tree",
		Long: `Kernel writes the kernel in /boot of the composed tree, or beside its modules: the
one to which the modules of "layers initrd" belong.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			o.definition = args[0]
			return o.write(ctx, env, func(d *layers.Definition, t tree.Tree, w io.Writer) error {
				return initramfs.WriteKernel(w, t, &d.Initrd)
			})
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "the kernel")
	o.flags(cmd)
	return cmd
}
