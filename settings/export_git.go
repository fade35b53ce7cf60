package settings

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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
		return gitError("rev-parse", err, out)
	}
	if out, err := g.command(ctx, "check-ref-format", "refs/heads/"+g.Branch).CombinedOutput(); err != nil {
		return gitError("check-ref-format "+g.Branch, err, out)
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

// hash names a generation.
func (g *Generation) hash() string { return chunkstore.Sum(g.append(nil)).String() }

func (g *gitExport) printf(format string, args ...any) {
	fmt.Fprintf(g.w, format, args...) // Flush tells of errors
}

func (g *gitExport) write(numbers []int) error {
	g.printf("feature done\n")
	for _, n := range numbers {
		generation, err := g.store.Generation(n)
		if errors.Is(err, ErrDamaged) {
			g.done.Skipped = append(g.done.Skipped, err.Error())
			continue
		}
		if err != nil {
			return err
		}
		if err := g.commit(generation); err != nil {
			return fmt.Errorf("generation %d: %w", n, err)
		}
	}
	return nil
}

// commit writes a generation. Contents come first, each once.
func (g *gitExport) commit(generation *Generation) error {
	secret := g.store.Secrets(generation, g.Running)
	g.done.Secrets = 0
	attributes := attributesMagic + "\n"
	var files []Entry
	for _, e := range generation.Entries {
		switch {
		case secret(e.Path):
			g.done.Secrets++
			attributes += "secret " + strconv.QuoteToASCII(e.Path) + "\n"
			continue
		case !gitPath(e.Path):
			g.done.Skipped = append(g.done.Skipped, fmt.Sprintf("generation %d: %s: git takes no such name", generation.Number, e.Path))
			continue
		}
		attributes += e.attributes() + "\n"
		if e.Kind != File && e.Kind != Link {
			continue
		}
		files = append(files, e)
		if err := g.blob(&e); err != nil {
			return err
		}
	}
	message := string(generation.Cause)
	if generation.Message != "" {
		message = generation.Message + "\n\nDeltaup-Cause: " + string(generation.Cause)
	} else {
		message += "\n"
	}
	message += fmt.Sprintf("\nDeltaup-Parent: %d\nDeltaup-Image: %s\n%s%d %s\n", generation.Parent, generation.Image, generationLine, generation.Number, generation.hash())
	g.printf("commit refs/heads/%s\ncommitter %s %d +0000\n", g.Branch, author(g.Author), max(generation.Time.Unix(), 0))
	g.data(message)
	if !g.first && g.done.Commits == 0 {
		g.printf("from refs/heads/%s^0\n", g.Branch)
	}
	g.printf("deleteall\nM 100644 inline %s\n", attributesFile)
	g.data(attributes)
	for i := range files {
		e := &files[i]
		switch {
		case e.Kind == Link:
			g.printf("M 120000 inline %s\n", gitQuote(e.Path[1:]))
			g.data(e.Target)
		case e.Mode&0o111 != 0:
			g.printf("M 100755 :%d %s\n", g.marks[e.Content], gitQuote(e.Path[1:]))
		default:
			g.printf("M 100644 :%d %s\n", g.marks[e.Content], gitQuote(e.Path[1:]))
		}
	}
	g.printf("\n")
	g.done.Commits++
	return nil
}

// attributes is an entry's line of attributesFile: what it is without its content.
func (e *Entry) attributes() string {
	text := string(e.Kind) + " " + strconv.QuoteToASCII(e.Path)
	switch e.Kind {
	case File, Folder:
		text += fmt.Sprintf(" %04o %d %d", e.Mode, e.UID, e.GID)
	case Link:
		text += fmt.Sprintf(" %d %d", e.UID, e.GID)
	}
	for _, x := range e.Xattrs {
		text += " " + strconv.QuoteToASCII(x.Name) + " " + strconv.QuoteToASCII(x.Value)
	}
	return text
}

// blob writes the content of a file, unless the stream has it.
func (g *gitExport) blob(e *Entry) error {
	if e.Kind != File || g.marks[e.Content] != 0 {
		return nil
	}
	r, err := g.store.OpenObject(e.Content)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Path, err)
	}
	defer r.Close() // only read
	g.mark++
	g.printf("blob\nmark :%d\ndata %d\n", g.mark, e.Size)
	n, err := io.Copy(g.w, io.LimitReader(r, e.Size))
	if err == nil && n != e.Size {
		err = fmt.Errorf("%s: %w: %d bytes, not %d", e.Path, ErrDamaged, n, e.Size)
	}
	if err != nil {
		return err
	}
	g.printf("\n")
	g.marks[e.Content] = g.mark
	return nil
}

func (g *gitExport) data(text string) { g.printf("data %d\n%s\n", len(text), text) }

// gitPath tells whether git takes a path: no part of it is the name of git's own folder.
func gitPath(path string) bool {
	for part := range strings.SplitSeq(path[1:], "/") {
		if strings.EqualFold(part, ".git") {
			return false
		}
	}
	return path != "/"+attributesFile
}

// gitQuote writes a path as fast-import reads one: quoted as in C, odd bytes in octal.
func gitQuote(path string) string {
	b := []byte{'"'}
	for _, c := range []byte(path) {
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ' || c == 0x7f:
			b = fmt.Appendf(b, `\%03o`, c)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}

// author makes an author that git reads: NAME <EMAIL>.
func author(s string) string {
	name, mail, _ := strings.Cut(s, "<")
	clean := func(s string) string {
		return strings.TrimSpace(strings.Map(func(r rune) rune {
			if r == '<' || r == '>' || r < ' ' || r == 0x7f || r == utf8.RuneError {
				return -1
			}
			return r
		}, s))
	}
	return clean(name) + " <" + clean(mail) + ">"
}
