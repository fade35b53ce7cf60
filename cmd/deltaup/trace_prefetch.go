package main

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"deltaup/internal/command"
	"deltaup/internal/human"
	"deltaup/internal/plainfile"
	"deltaup/mkimage/trace"
)

func newTracePrefetchCommand(env *Env) *command.Command {
	var limit string
	cmd := &command.Command{
		Use:   "prefetch IMAGE",
		Short: "Read what a boot needs of an image into memory, in one sweep",
		Long: `Prefetch reads an image's tables and the files that lead it (mkimage --trace)
into the page cache. It prints "reading" when the image is open. It is for the
initramfs, in the background, before the image's files are needed; the image
must be mounted by a loop device, because from a disk itself squashfs reads past
that cache.`,
		Args: command.Exactly(1),
		Run: func(ctx context.Context, args []string) error {
			return prefetch(ctx, env, args[0], limit)
		},
	}
	cmd.Flags().
		StringVar(&limit, "max", "", "read at most so many `BYTES`, such as 64M (default: half of the memory that is free)")
	return cmd
}

func prefetch(ctx context.Context, env *Env, image, limit string) error {
	var most int64
	var err error
	if limit == "" {
		most, err = freeMemory()
		most /= 2
	} else if most, err = human.ParseSize(limit); err != nil {
		err = &usageError{fmt.Errorf("--max %q: %w", limit, err)}
	}
	if err != nil {
		return err
	}
	f, err := plainfile.OpenDevice(image)
	if err != nil {
		return err
	}
	defer f.Close() // only read
	// Whoever began it in the background waits for this line before /dev moves to the new root.
	printf(env.Stdout, "reading %s\n", image)
	n, err := trace.Prefetch(ctx, f, most)
	if err != nil {
		return err
	}
	printf(env.Stdout, "%s: %s are in memory\n", image, human.Size(n))
	return nil
}

// freeMemory is how many bytes nobody uses. Early in a boot that is nearly all that is available,
// and sysinfo(2), unlike /proc, is there during switch_root.
func freeMemory() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, os.NewSyscallError("sysinfo", err)
	}
	return int64(min(uint64(info.Freeram)*uint64(info.Unit), 1<<62)), nil
}
