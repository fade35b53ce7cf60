package settings

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"deltaup/chunkstore"
	"deltaup/settings/list"
)

// attributesFile is the file of an export in which stands what git does not keep.
const attributesFile = ".deltaup-attributes"

const (
	attributesMagic = "# deltaup settings attributes 1"
	generationLine  = "Deltaup-Generation: " // of a commit: number and hash
)

// GitExport says where the history goes.
type GitExport struct {
	Dir    string // a git repository; a missing or empty folder becomes a bare one
	Branch string // without refs/heads/
	Author string // NAME <EMAIL>
	// Running is the list of the image that runs, which may know of more secrets; nil: none.
	Running *list.List
}

// GitExported is what an export to git did.
type GitExported struct {
	Commits int // that were new
	Secrets int // paths left out since they are secret, in the last generation
	// Skipped are generations that cannot be read, and paths that no git repository can have.
	Skipped []string
}

// ExportGit writes generations as commits of a git repository, with the installed git: those after
// the last one that the branch has. Each commit has the files as the generation had them, and in
// attributesFile owner, mode, attributes and what was removed. Secrets stay out.
func (s *Store) ExportGit(ctx context.Context, o GitExport) (*GitExported, error) {
	g := &gitExport{GitExport: o, store: s, marks: map[chunkstore.ID]int{}}
	if err := g.prepare(ctx); err != nil {
		return nil, err
	}
	numbers, err := s.Generations()
	if err != nil {
		return nil, err
	}
	numbers = slices.DeleteFunc(numbers, func(n int) bool { return n <= g.last })
	if len(numbers) == 0 {
		return &g.done, nil
	}
	cmd := g.command(ctx, "fast-import", "--quiet", "--date-format=raw")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g.w = bufio.NewWriter(in)
	err = g.write(numbers)
	if err == nil {
		g.printf("done\n")
		err = g.w.Flush()
	}
	// Without the word done git takes nothing of an export that was cut off.
	err = errors.Join(err, in.Close())
	if waitErr := cmd.Wait(); waitErr != nil {
		return nil, errors.Join(err, gitError("fast-import", waitErr, said.Bytes()))
	}
	return &g.done, err
}

type gitExport struct {
	GitExport
	store *Store
	done  GitExported
	last  int  // the last generation that the branch has; 0: none
	first bool // the branch has no commit yet
	w     *bufio.Writer
	marks map[chunkstore.ID]int // of contents that the stream has
	mark  int
}

// command is a run of git in the repository, whatever the environment says of others.
func (g *gitExport) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", g.Dir}, args...)...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	return cmd
}

func gitError(what string, err error, said []byte) error {
	line, _, _ := strings.Cut(strings.TrimSpace(string(said)), "\n")
	if line == "" {
		return fmt.Errorf("git %s: %w", what, err)
	}
	return fmt.Errorf("git %s: %w: %s", what, err, line)
}

// prepare makes the repository when there is none, and finds the last generation that it has.
func (g *gitExport) prepare(ctx context.Context) error {
	if _, err := exec.LookPath("git"); err != nil {
		return fmt.Errorf("an export to git needs git: %w", err)
	}
	if err := os.MkdirAll(g.Dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(g.Dir)
	if err != nil {
		return err
	}
	if len(entries) == 0 {
		out, err := g.command(ctx, "init", "--quiet", "--bare").CombinedOutput()
		if err != nil {
			return gitError("init", err, out)
		}
		out, err = g.command(ctx, "symbolic-ref", "HEAD", "refs/heads/"+g.Branch).CombinedOutput()
		if err != nil {
			return gitError("symbolic-ref", err, out)
		}
	}
	if out, err := g.command(ctx, "rev-parse", "--git-dir").CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w", g.Dir, gitError("rev-parse", err, out))
	}
	if g.command(ctx, "check-ref-format", "refs/heads/"+g.Branch).Run() != nil {
		return fmt.Errorf("%q %w", g.Branch, ErrBranch)
	}
	if g.command(ctx, "rev-parse", "--quiet", "--verify", "refs/heads/"+g.Branch).Run() != nil {
		g.first = true
		return nil
	}
	message, err := g.command(ctx, "log", "-1", "--format=%B", "refs/heads/"+g.Branch).Output()
	if err != nil {
		return gitError("log", err, nil)
	}
	return g.continues(string(message))
}

// continues finds the generation of the branch's last commit, and holds it to the one of the store.
func (g *gitExport) continues(message string) error {
	lines := strings.Split(strings.TrimSpace(message), "\n")
	rest, ok := strings.CutPrefix(lines[len(lines)-1], generationLine)
	number, hash, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(number)
	if !ok || err != nil {
		return fmt.Errorf("%s: the last commit of branch %s is none of deltaup's: %w", g.Dir, g.Branch, ErrOtherHistory)
	}
	own, err := g.store.Generation(n)
	if err == nil && own.hash() != hash {
		return fmt.Errorf("%s: branch %s has another machine's generation %d: %w", g.Dir, g.Branch, n, ErrOtherHistory)
	}
	g.last = n // also one that was pruned
	return nil
}

// ErrOtherHistory is wrapped when a branch has another history than the one that is exported.
var ErrOtherHistory = errors.New("another history")

// ErrBranch is wrapped when a branch cannot have the name that was asked for.
var ErrBranch = errors.New("is no name of a branch")

// hash names a generation.
func (g *Generation) hash() string { return chunkstore.Sum(g.append(nil)).String() }
