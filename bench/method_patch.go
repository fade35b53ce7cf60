package bench

import (
	"context"
	"fmt"
	"path/filepath"
)

// Tools that make a patch between two files ahead of time, which the target fetches with curl.

func patchMethods() []method {
	all := []method{{
		id: "curl", name: "whole image", of: "image", settings: "curl", needs: []string{"curl"},
		publish: func(ctx context.Context, p *publisher) error {
			return p.aside().run(ctx, "ln", p.file("image", 1), "new")
		},
		pull: func(ctx context.Context, t *target) error {
			return t.run(ctx, "curl", "--silent", "--show-error", "--fail", "--output", t.out,
				t.url+"/new")
		},
	}}
	for _, of := range []string{"image", "tar"} {
		all = append(all, zstdPatch(of), hdiffz(of), xdelta(of), bsdiff(of), rdiff(of))
	}
	return all
}

// zstdPatch is zstd with the old file as its dictionary. At level 19 it takes many minutes for a
// dictionary of hundreds of MB before it writes the first byte.
func zstdPatch(of string) method {
	level := map[string]string{"image": "-19", "tar": "-15"}[of]
	return method{
		long: true, id: "zstd-" + of, name: "zstd --patch-from, " + of, of: of, needs: []string{"zstd", "curl"},
		settings: level + " --long=31 (a quick run: -9)",
		publish: func(ctx context.Context, p *publisher) error {
			level := level
			if p.quick {
				level = "-9"
			}
			return p.run(ctx, "zstd", "-q", level, "--long=31", "--patch-from="+p.file(of, 0),
				p.file(of, 1), "-o", "patch")
		},
		pull: func(ctx context.Context, t *target) error {
			if err := t.curl(ctx, "patch"); err != nil {
				return err
			}
			return t.run(ctx, "zstd", "-q", "-d", "--long=31", "--memory=2048MB",
				"--patch-from="+t.old(), "patch", "-o", t.out)
		},
	}
}

// hdiffz is HDiffPatch with a suffix array of the whole old file, which finds the most.
func hdiffz(of string) method {
	return method{
		id: "hdiffz-" + of, slow: of == "tar", long: true, name: "hdiffz, " + of, of: of,
		needs: []string{"hdiffz", "hpatchz", "curl"}, settings: "-m-6 -SD -c-zstd-21-24",
		publish: func(ctx context.Context, p *publisher) error {
			return p.run(ctx, "hdiffz", "-m-6", "-SD", "-c-zstd-21-24", "-d", p.file(of, 0), p.file(of, 1), "patch")
		},
		pull: func(ctx context.Context, t *target) error {
			if err := t.curl(ctx, "patch"); err != nil {
				return err
			}
			return t.run(ctx, "hpatchz", t.old(), "patch", t.out)
		},
	}
}

// xdelta is xdelta3 with a window over the whole source, without which it misses what moved.
func xdelta(of string) method {
	window := func(s *Subject) string { return fmt.Sprint(min(powerOfTwo(sizeOf(s.file(of, 0))), 2<<30-1)) }
	return method{
		slow: of == "tar", long: of == "tar", id: "xdelta3-" + of, name: "xdelta3, " + of, of: of, needs: []string{"xdelta3", "curl"},
		settings: "-9, lzma, a source window that holds the old file",
		publish: func(ctx context.Context, p *publisher) error {
			return p.run(ctx, "xdelta3", "-e", "-9", "-S", "lzma", "-B", window(p.subject), "-s",
				p.file(of, 0), p.file(of, 1), "patch")
		},
		pull: func(ctx context.Context, t *target) error {
			if err := t.curl(ctx, "patch"); err != nil {
				return err
			}
			return t.run(ctx, "xdelta3", "-d", "-B", window(t.subject), "-s", t.old(), "patch",
				t.out)
		},
	}
}

// bsdiff is bsdiff. On the tar it would take most of the run.
func bsdiff(of string) method {
	skip := ""
	if of == "tar" {
		skip = "its preparation takes 9 times the tar in memory and many minutes"
	}
	return method{
		skip: skip,
		id:   "bsdiff-" + of, name: "bsdiff, " + of, of: of, needs: []string{"bsdiff", "bspatch", "curl"},
		settings: "no settings", slow: true, long: true,
		publish: func(ctx context.Context, p *publisher) error {
			return p.run(ctx, "bsdiff", p.file(of, 0), p.file(of, 1), "patch")
		},
		pull: func(ctx context.Context, t *target) error {
			if err := t.curl(ctx, "patch"); err != nil {
				return err
			}
			return t.run(ctx, "bspatch", t.old(), t.out, "patch")
		},
	}
}

// rdiff is rdiff with zstd, since rdiff does not compress.
func rdiff(of string) method {
	return method{
		id: "rdiff-" + of, slow: of == "tar", name: "rdiff, " + of, of: of, needs: []string{"rdiff", "zstd", "curl"},
		settings: "signature and delta with default blocks, the delta compressed by zstd -9",
		publish: func(ctx context.Context, p *publisher) error {
			scratch := filepath.Dir(p.file(of, 0))
			signature, delta := filepath.Join(scratch, "rdiff-"+of+".sig"), filepath.Join(scratch,
				"rdiff-"+of+".delta")
			if err := p.run(ctx, "rdiff", "signature", p.file(of, 0), signature); err != nil {
				return err
			}
			if err := p.run(ctx, "rdiff", "delta", signature, p.file(of, 1), delta); err != nil {
				return err
			}
			if err := p.run(ctx, "zstd", "-q", "-9", delta, "-o", "patch"); err != nil {
				return err
			}
			return p.aside().run(ctx, "rm", signature, delta)
		},
		pull: func(ctx context.Context, t *target) error {
			if err := t.curl(ctx, "patch"); err != nil {
				return err
			}
			if err := t.run(ctx, "zstd", "-q", "-d", "patch", "-o", "delta"); err != nil {
				return err
			}
			return t.run(ctx, "rdiff", "patch", t.old(), "delta", t.out)
		},
	}
}
