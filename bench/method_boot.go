package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// bootMethod is deltaup with a kernel and an initrd beside the image, on a machine that has the old
// ones and the state of the last update.
func bootMethod() method {
	return method{
		id: "deltaup-boot", name: "deltaup, kernel and initrd", of: "image",
		publish: publishBoot, check: checkBoot,
		seed: func(ctx context.Context, t *target) error {
			aside := host{dir: t.dir}
			return aside.run(ctx, "cp", "-a", keptState(t.kept)+"/.", t.dir)
		},
		pull: func(ctx context.Context, t *target) error {
			return t.run(ctx, t.deltaup.path, t.deltaup.pullBoot(t.url, 2, t.dir, "--seed", t.old())...)
		},
	}
}

// pullBoot is the command line that pulls a release with kernel and initrd into a folder, which has
// the state, and in their places the old kernel and initrd.
func (d deltaup) pullBoot(mirror string, version int, dir string, flags ...string) []string {
	args := []string{
		mirror, "--version", fmt.Sprint(version), "--optimize", "bytes", "--slot", filepath.Join(dir, "out"),
		"--state", filepath.Join(dir, "state"), "--artifact", "kernel=" + filepath.Join(dir, "kernel"),
		"--artifact", "initrd=" + filepath.Join(dir, "initrd"),
	}
	return d.command("pull", append(args, flags...)...)
}

// freshState is the folder of a machine that had nothing, beside the mirror, with the new release.
func freshState(mirror string) string { return mirror + ".fresh" }

// publishBoot publishes both releases. Beside the mirror it leaves what targets have, and what they
// shall get.
func publishBoot(ctx context.Context, p *publisher) error {
	for version, h := range []*host{p.aside(), &p.host} {
		args := append(p.deltaup.publish(p.dir, version+1, p.file("image", version)),
			"--kernel", p.file("kernel", version), "--initrd", p.file("initrd", version))
		if err := h.run(ctx, p.deltaup.path, args...); err != nil {
			return err
		}
	}
	for version, dir := range []string{keptState(p.dir), freshState(p.dir)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		args := p.deltaup.pullBoot(p.dir, version+1, dir)
		if version == 0 {
			args = append(args, "--seed", p.file("image", version))
		}
		if err := p.aside().run(ctx, p.deltaup.path, args...); err != nil {
			return err
		}
	}
	return os.Remove(filepath.Join(keptState(p.dir), "out"))
}

// checkBoot compares image and kernel with those that were published, and the initrd, which the
// publisher makes anew, with that of a machine that had nothing.
func checkBoot(_ context.Context, t *target) error {
	for got, want := range map[string]string{
		"out":    t.subject.file("image", 1),
		"kernel": t.subject.file("kernel", 1),
		"initrd": filepath.Join(freshState(t.kept), "initrd"),
	} {
		sum, err := hashFile(filepath.Join(t.dir, got))
		if err != nil {
			return err
		}
		wanted, err := hashFile(want)
		if err == nil && sum != wanted {
			err = fmt.Errorf("deltaup: %s has the hash %s, want %s", got, sum, wanted)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
