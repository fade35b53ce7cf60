package bench

import (
	"context"
	"os"
	"path/filepath"
)

// Tools that cut both sides into chunks and fetch those that the target lacks.

func chunkMethods() []method {
	var all []method
	for _, of := range []string{"image", "tar"} {
		all = append(all,
			method{
				id: "casync-" + of, name: "casync, " + of, of: of, slow: of == "tar", needs: []string{"casync"},
				settings: "make, then extract --seed=OLD; chunks of 64 KiB on average, zstd",
				publish: func(ctx context.Context, p *publisher) error {
					return p.run(ctx, "casync", "make", "--store=chunks.castr", "new.caibx",
						p.file(of, 1))
				},
				pull: func(ctx context.Context, t *target) error {
					return t.run(ctx, "casync", "extract", "--store="+t.url+"/chunks.castr",
						"--seed="+t.old(), t.url+"/new.caibx", t.out)
				},
			},
			method{
				id: "desync-" + of, name: "desync, " + of, of: of, slow: of == "tar", needs: []string{"desync"},
				settings: "make, then extract --seed with the old index; chunks of 64 KiB on average, zstd, 10 at once",
				publish: func(ctx context.Context, p *publisher) error {
					// The seed's index lies beside it, as after the last update.
					if err := p.aside().run(ctx, "desync", "make", p.file(of, 0)+".caibx", p.file(of, 0)); err != nil {
						return err
					}
					if err := os.Mkdir(filepath.Join(p.dir, "chunks.castr"), 0o755); err != nil {
						return err
					}
					return p.run(ctx, "desync", "make", "-s", "chunks.castr", "new.caibx",
						p.file(of, 1))
				},
				pull: func(ctx context.Context, t *target) error {
					return t.run(ctx, "desync", "extract", "-s", t.url+"/chunks.castr", "--seed",
						t.old()+".caibx", t.url+"/new.caibx", t.out)
				},
			},
			method{
				id: "zsync-" + of, name: "zsync, " + of, of: of, slow: of == "tar", needs: []string{"zsync", "zsyncmake"},
				settings: "zsyncmake, then zsync -i OLD; block size as zsyncmake chooses",
				publish: func(ctx context.Context, p *publisher) error {
					if err := os.Link(p.file(of, 1), filepath.Join(p.dir, "new")); err != nil {
						return err
					}
					return p.run(ctx, "zsyncmake", "-o", "new.zsync", "-u", "new", "new")
				},
				pull: func(ctx context.Context, t *target) error {
					return t.run(ctx, "zsync", "-q", "-i", t.old(), "-o", t.out, t.url+"/new.zsync")
				},
			},
			method{
				id: "rsync-" + of, name: "rsync, " + of, of: of, slow: of == "tar", needs: []string{"rsync"},
				settings: "daemon; --ignore-times --no-whole-file --compress --copy-dest with the old file",
				publish: func(ctx context.Context, p *publisher) error {
					return os.Link(p.file(of, 1), filepath.Join(p.dir, "file"))
				},
				// zsync only looks at a seed of the same name
				seed: func(ctx context.Context, t *target) error {
					if err := os.Mkdir(filepath.Join(t.dir, "old"), 0o755); err != nil {
						return err
					}
					return os.Link(t.old(), filepath.Join(t.dir, "old", "file"))
				},
				pull: func(ctx context.Context, t *target) error {
					err := t.run(ctx, "rsync", "--ignore-times", "--no-whole-file", "--compress",
						"--copy-dest="+filepath.Join(t.dir, "old"), t.rsync+"/file", t.dir+"/")
					if err != nil {
						return err
					}
					return os.Rename(filepath.Join(t.dir, "file"), t.out)
				},
			})
	}
	return all
}
