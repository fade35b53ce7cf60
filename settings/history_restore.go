package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Result is what Restore, Undo or Resolve did.
type Result struct {
	Saved   int      // the generation that was made first of what had changed before; 0: nothing had
	Target  int      // the generation that it went back to; 0: the image's defaults, or none
	Made    int      // the new generation; 0: nothing was different
	Changed []string // the paths that were written or removed
	Kept    []string // that stayed, since the list says newest and nobody named them
}

// Save makes a generation of what there is now. The error wraps ErrUnchanged when the last one has
// it all.
func (r *Running) Save(ctx context.Context, message string) (*Generation, error) {
	return r.commit(ctx, reason{cause: Saved, message: message})
}

func (r *Running) commit(ctx context.Context, why reason) (*Generation, error) {
	if !validMessage(why.message) {
		return nil, ErrMessage
	}
	g, err := r.Store.commit(ctx, r.View, why)
	if err != nil {
		return nil, err
	}
	return g, r.look(ctx)
}

// saveFirst keeps what nobody has saved before something else takes its place. It gives 0 when there
// is nothing.
func (r *Running) saveFirst(ctx context.Context, before string) (int, error) {
	g, err := r.Save(ctx, "before "+before)
	if errors.Is(err, ErrUnchanged) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return g.Number, nil
}

// Restore brings settings back to what a generation had: all, or those at the paths and below them.
// The number 0 is the image's defaults. Settings that the list calls newest stay, unless they are
// named. What had changed since the last generation is saved before. Each file is written whole, and
// is durable when Restore returns.
func (r *Running) Restore(ctx context.Context, number int, paths []string) (*Result, error) {
	what := "restore of generation " + strconv.Itoa(number)
	if number == 0 {
		what = "restore of the image's own"
	}
	if len(paths) > 0 {
		what += ": " + shorten(strings.Join(paths, " "))
	}
	done := &Result{Target: number}
	return done, r.restore(ctx, done, paths, what)
}

// shorten makes a text fit into a message.
func shorten(s string) string {
	const most = 200
	s = oneLine(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

func (r *Running) restore(ctx context.Context, done *Result, paths []string, what string) error {
	then, err := r.Generation(done.Target)
	if err != nil {
		return err
	}
	if then.defaults == nil {
		// What that generation had from its own image, this image has in its own way.
		then.defaults = r.Image
	}
	if done.Saved, err = r.saveFirst(ctx, what); err != nil {
		return err
	}
	differences, err := Compare(r.Now(), then, Match(paths))
	if err != nil {
		return err
	}
	var wanted []Entry
	for _, d := range differences {
		options, kept := r.View.List.Keep(d.Path)
		if d.What == Deleted && slices.Contains(r.View.List.Places(), d.Path) {
			d.After = folderOfBoot(d.Path) // an overlay is mounted there
		}
		switch {
		case !kept:
			continue // the next boot would undo it
		case options.Newest && !r.named(d.Path, paths):
			done.Kept = append(done.Kept, d.Path)
		default:
			wanted = append(wanted, *d.After)
		}
	}
	if err := r.put(ctx, wanted, then.Open); err != nil {
		return err
	}
	for _, e := range wanted {
		done.Changed = append(done.Changed, e.Path)
	}
	return r.finish(ctx, done, reason{cause: Restored, message: what})
}

// named tells whether one of the paths names a setting that the list calls newest: itself, or a folder
// that is newest as well. One above them does not: a restore of /etc brings no old password back.
func (r *Running) named(full string, paths []string) bool {
	return slices.ContainsFunc(paths, func(p string) bool {
		options, kept := r.View.List.Keep(p)
		return kept && options.Newest && Match([]string{p})(full)
	})
}

// finish makes the generation of what was written.
func (r *Running) finish(ctx context.Context, done *Result, why reason) error {
	if err := r.look(ctx); err != nil {
		return err
	}
	g, err := r.commit(ctx, why)
	if errors.Is(err, ErrUnchanged) {
		return nil
	}
	if err == nil {
		done.Made = g.Number
	}
	return err
}

// put writes entries, which are sorted by path, through the root of the running machine. What goes
// goes first, the inner before the outer.
func (r *Running) put(ctx context.Context, entries []Entry, open func(*Entry) (io.ReadCloser, error)) error {
	for _, e := range slices.Backward(entries) {
		if e.Kind != Gone {
			continue
		}
		if err := put(r.folders.Root, &e, nil); err != nil {
			return err
		}
	}
	for i := range entries {
		e := &entries[i]
		if err := ctx.Err(); err != nil {
			return err
		}
		if e.Kind == Gone {
			continue
		}
		if err := r.putOne(e, open); err != nil {
			return fmt.Errorf("%s: %w", e.Path, err)
		}
	}
	return nil
}

func (r *Running) putOne(e *Entry, open func(*Entry) (io.ReadCloser, error)) error {
	if e.Kind != File {
		return put(r.folders.Root, e, nil)
	}
	content, err := open(e)
	if err != nil {
		return err
	}
	return errors.Join(put(r.folders.Root, e, content), content.Close())
}

// undoPrefix begins the message of a generation that Undo made. The number of the generation that it
// went back to follows, so that the next Undo goes on from there.
const undoPrefix = "undo to generation "

// Undo goes back some steps: to the generation before the one that the machine runs with, and so on.
// What was not saved counts as a step, and is saved. Undo after an Undo goes on where that came to.
// The error wraps ErrNone when the history does not go back so far.
func (r *Running) Undo(ctx context.Context, steps int) (*Result, error) {
	saved, err := r.saveFirst(ctx, "undo")
	if err != nil {
		return nil, err
	}
	done := &Result{Saved: saved}
	at := r.Laid
	for range steps {
		if at == nil {
			return nil, fmt.Errorf("undo %d: what was before the first generation is %w", steps, ErrNone)
		}
		if at, err = r.stepBack(at); err != nil {
			return nil, fmt.Errorf("undo %d: %w", steps, err)
		}
	}
	if at != nil {
		done.Target = at.Number
	}
	return done, r.restore(ctx, done, nil, undoPrefix+strconv.Itoa(done.Target))
}

// stepBack gives the generation before g; nil is the image's defaults.
func (r *Running) stepBack(g *Generation) (*Generation, error) {
	for {
		number, undone := strings.CutPrefix(g.Message, undoPrefix)
		n, err := strconv.Atoi(number)
		if g.Cause != Restored || !undone || err != nil || n >= g.Number {
			break
		}
		if n == 0 {
			return nil, fmt.Errorf("what was before the first generation is %w", ErrNone)
		}
		if g, err = r.Store.Generation(n); err != nil {
			return nil, err
		}
	}
	if g.Parent == 0 {
		return nil, nil
	}
	return r.Store.Generation(g.Parent)
}

// Version is one of the versions of a setting in conflict.
type Version string

// The versions that Resolve takes.
const (
	LocalVersion   Version = "local"   // the machine's
	ImageVersion   Version = "image"   // the image's
	CurrentVersion Version = "current" // what lies there now
)

// Resolve ends the conflict of a path with one of its versions. The error wraps ErrNoConflict
// when the path is in none.
func (r *Running) Resolve(ctx context.Context, path string, version Version) (*Result, error) {
	all := r.conflicts()
	i := slices.IndexFunc(all, func(c Conflict) bool { return c.Path() == path })
	if i < 0 {
		return nil, fmt.Errorf("%s %w", path, ErrNoConflict)
	}
	if _, kept := r.View.List.Keep(path); !kept && version != CurrentVersion {
		return nil, fmt.Errorf("%s: %w: the list does not keep it any more", path, ErrNone)
	}
	what := fmt.Sprintf("resolve %s: %s", shorten(path), version)
	done := &Result{}
	wanted := all[i].Local
	switch version {
	case ImageVersion:
		wanted = all[i].Image
	case CurrentVersion:
		return done, r.finish(ctx, done, reason{cause: Restored, message: what, resolved: []string{path}})
	}
	var err error
	if done.Saved, err = r.saveFirst(ctx, what); err != nil {
		return nil, err
	}
	now, err := r.Now().entry(path)
	if err != nil {
		return nil, err
	}
	if !now.same(&wanted) {
		open := func(e *Entry) (io.ReadCloser, error) { return r.Store.OpenObject(e.Content) }
		if version == ImageVersion && all[i].Image.same(r.defaultOf(path)) {
			open = func(e *Entry) (io.ReadCloser, error) { return r.Image.open(e.Path) }
		}
		if err := r.put(ctx, []Entry{wanted}, open); err != nil {
			return nil, err
		}
		done.Changed = []string{path}
	}
	return done, r.finish(ctx, done, reason{cause: Restored, message: what, resolved: []string{path}})
}

// defaultOf is what the image has at the path; Gone also when that is not known.
func (r *Running) defaultOf(path string) *Entry {
	e, err := r.Shipped().entry(path)
	if err != nil {
		return none(path)
	}
	return e
}
