package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// ostreeMethods pull a tree, file by file or by a static delta. OSTree is made for trees of files:
// the result is no image, and the check compares every object with the commit's checksums.
func ostreeMethods() []method {
	m := method{
		slow: true, id: "ostree", name: "OSTree, files", of: "tree", needs: []string{"ostree"},
		settings: "archive repository; pull --disable-static-deltas into a bare one",
		publish:  ostreeCommits, seed: ostreeTarget, check: ostreeCheck,
		pull: func(ctx context.Context, t *target) error { return ostreePull(ctx, t, "--disable-static-deltas") },
	}
	d := m
	d.long = true
	d.id, d.name = "ostree-delta", "OSTree, static delta"
	d.settings = "archive repository; static-delta generate --inline --min-fallback-size=0, pull --require-static-deltas: it fetches objects while the delta is applied"
	d.publish = func(ctx context.Context, p *publisher) error {
		if err := ostreeCommits(ctx, p); err != nil {
			return err
		}
		err := p.run(ctx, "ostree", "--repo=.", "static-delta", "generate", "--inline",
			"--min-fallback-size=0", "--from="+ostreeCommit(p.dir, 0),
			"--to="+ostreeCommit(p.dir, 1))
		if err != nil {
			return err
		}
		return p.run(ctx, "ostree", "--repo=.", "summary", "-u")
	}
	d.pull = func(ctx context.Context, t *target) error { return ostreePull(ctx, t, "--require-static-deltas") }
	o := d
	o.id, o.name, o.shares, o.publish = "ostree-offline", "OSTree, delta as a file", d.id, nil
	o.settings = "the same delta by curl, then static-delta apply-offline"
	o.needs = append(o.needs, "curl")
	o.pull = func(ctx context.Context, t *target) error {
		found, err := filepath.Glob(filepath.Join(t.kept, "deltas", "*", "*", "superblock"))
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("ostree: %d static deltas", len(found))
		}
		if err != nil {
			return err
		}
		name, err := filepath.Rel(t.kept, found[0])
		if err != nil {
			return err
		}
		for _, argv := range [][]string{
			{"curl", "--silent", "--show-error", "--fail", "--output", "delta", t.url + "/" + filepath.ToSlash(name)},
			{"ostree", "--repo=repo", "static-delta", "apply-offline", "delta"},
			{"ostree", "--repo=repo", "refs", "--create=origin:os", ostreeCommit(t.kept, 1)},
		} {
			if err := t.run(ctx, argv[0], argv[1:]...); err != nil {
				return err
			}
		}
		return nil
	}
	return []method{m, d, o}
}

// ostreeCommits makes the publisher's repository, with both trees, and a target's repository, with
// the first.
func ostreeCommits(ctx context.Context, p *publisher) error {
	aside := p.aside()
	if err := aside.run(ctx, "ostree", "--repo=.", "init", "--mode=archive"); err != nil {
		return err
	}
	for version, h := range []*host{aside, &p.host} {
		out, err := h.output(
			ctx,
			"ostree",
			"--repo=.",
			"commit",
			"--branch=os",
			"--tree=tar="+p.file("tree", version),
			"--tar-autocreate-parents",
			"--subject=release",
		)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("commit-%d", version)), bytes.TrimSpace(out), 0o644); err != nil {
			return err
		}
	}
	mode := "bare"
	if os.Geteuid() != 0 {
		mode = "bare-user"
	}
	kept := ostreeKept(p.dir)
	for _, args := range [][]string{
		{"--repo=.", "summary", "-u"},
		{"--repo=" + kept, "init", "--mode=" + mode},
		{"--repo=" + kept, "pull-local", p.dir, ostreeCommit(p.dir, 0)},
	} {
		if err := aside.run(ctx, "ostree", args...); err != nil {
			return err
		}
	}
	return nil
}

// ostreeKept is the repository that targets have, beside the published folder.
func ostreeKept(published string) string { return published + ".kept" }

// ostreeCommit gives the checksum of a published commit, or "".
func ostreeCommit(published string, version int) string {
	b, err := os.ReadFile(filepath.Join(published, fmt.Sprintf("commit-%d", version)))
	if err != nil {
		return ""
	}
	return string(b)
}

// ostreeTarget gives the target a repository of its own, whose objects are links to the kept one's.
func ostreeTarget(ctx context.Context, t *target) error {
	aside := host{dir: t.dir}
	for _, argv := range [][]string{
		{"cp", "-al", ostreeKept(t.kept), "repo"},
		{"cp", "--remove-destination", ostreeKept(t.kept) + "/config", "repo/config"},
		{"ostree", "--repo=repo", "remote", "add", "--no-gpg-verify", "origin", t.url},
	} {
		if err := aside.run(ctx, argv[0], argv[1:]...); err != nil {
			return err
		}
	}
	return nil
}

func ostreePull(ctx context.Context, t *target, how string) error {
	return t.run(ctx, "ostree", "--repo=repo", "pull", how, "origin", "os@"+ostreeCommit(t.kept, 1))
}

func ostreeCheck(ctx context.Context, t *target) error {
	aside := host{dir: t.dir}
	out, err := aside.output(ctx, "ostree", "--repo=repo", "rev-parse", "origin:os")
	if err != nil {
		return err
	}
	if got, want := strings.TrimSpace(string(out)), ostreeCommit(t.kept, 1); got != want {
		return fmt.Errorf("ostree: pulled commit %s, want %s", got, want)
	}
	return aside.run(ctx, "ostree", "--repo=repo", "fsck", "--quiet")
}
