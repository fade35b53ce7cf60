//go:build !target

package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"deltaup/internal/command"
	"deltaup/internal/durable"
	"deltaup/internal/human"
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
			return runLayersInitrd(ctx, env, &o)
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
			return runLayersKernel(ctx, env, &o)
		},
	}
	cmd.Flags().StringVarP(&o.output, "output", "o", "", "the kernel")
	o.flags(cmd)
	return cmd
}

func runLayersInitrd(ctx context.Context, env *Env, o *layersOptions) error {
	return o.writeOf(ctx, env, "initrd", func(d *layers.Definition, t tree.Tree, w io.Writer) error {
		return initramfs.Write(ctx, w, t, &d.Initrd, d.Time)
	})
}

func runLayersKernel(ctx context.Context, env *Env, o *layersOptions) error {
	return o.writeOf(ctx, env, "kernel", func(d *layers.Definition, t tree.Tree, w io.Writer) error {
		return initramfs.WriteKernel(w, t, &d.Initrd)
	})
}

// writeOf writes the output, which is made of a definition and its tree.
func (o *layersOptions) writeOf(ctx context.Context, env *Env, name string,
	write func(d *layers.Definition, t tree.Tree, w io.Writer) error) error {
	if o.output == "" {
		return &usageError{fmt.Errorf("layers %s needs -o", name)}
	}
	if err := replaceable(o.output); err != nil {
		return &usageError{err}
	}
	d, options, err := o.open(ctx, env)
	if err != nil {
		return err
	}
	t, err := layers.Compose(ctx, d, options)
	if err != nil {
		return fmt.Errorf("%s: %w", o.definition, err)
	}
	defer t.Close() // it is only read
	size := int64(0)
	err = durable.WriteFile(filepath.Dir(o.output), o.output, func(w io.Writer) error {
		out := &countedWriter{w: w}
		err := write(d, t, out)
		size = out.n
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", o.definition, err)
	}
	printf(env.Stdout, "%s: %s\n", o.output, human.Size(size))
	return nil
}

// countedWriter counts the bytes written through it.
type countedWriter struct {
	w io.Writer
	n int64
}

func (c *countedWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
