package settings

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"deltaup/chunkstore"
)

// Import is what Running.Import takes, and from where.
type Import struct {
	// Path is of a tar archive, plain or compressed by gzip, such as TinyCore's mydata.tgz and
	// Alpine's HOST.apkovl.tar.gz, or of a folder: any, a git working tree, or the upper folder of
	// an overlay.
	Path   string
	Prefix string // absolute: where the top of it belongs; "" is the root
	DryRun bool   // only say what would be taken
}

// ImportResult is what an import did, or would do.
type ImportResult struct {
	Taken     []string  // paths that were written
	Same      int       // settings that were there already as they are to be
	NotListed []string  // what the list does not keep
	InData    []string  // what belongs into folders of data, which have no history
	Refused   []Refused // what it keeps and is not taken
	Saved     int       // the generation of what had changed before; 0: nothing had
	Made      int       // the new generation; 0: nothing was different
}

// Refused is something that is not imported.
type Refused struct{ Path, Why string }

// Bounds of an import.
const (
	maxImported   = 1 << 30 // bytes that an archive may unpack to
	maxNames      = 200_000 // in an archive or a folder
	maxNotListed  = 10_000  // that are told
	encryptedHint = "decrypt it first: openssl enc -d for lbu's, bcrypt for filetool's"
)

var (
	// ErrEncrypted is wrapped when what is to be imported is encrypted.
	ErrEncrypted = errors.New("encrypted; " + encryptedHint)
	// ErrNoArchive is wrapped when what is to be imported is neither a folder nor a tar archive.
	ErrNoArchive = errors.New("neither a folder nor a tar archive, plain or compressed by gzip")
)

// item is something that could be imported. Its entry has no content's hash.
type item struct {
	name    string // in the source, relative
	entry   Entry  // without Path
	refused string // why it is not taken; "": it can be
	mayKeep bool   // the source does not know mode and owner: what the machine has there stays
	content io.Reader
}

// importer is a source of items. Each call of walk goes through all of them.
type importer interface {
	walk(ctx context.Context, fn func(*item) error) error
}

// Import takes settings from elsewhere: those that the list keeps, no others. It makes a generation
// of them. An archive is read to its end before anything is written.
func (r *Running) Import(ctx context.Context, o Import) (*ImportResult, error) {
	source, err := r.importer(o.Path)
	if err != nil {
		return nil, err
	}
	if err := r.openRoot(); err != nil {
		return nil, err
	}
	p := &importPlan{r: r, prefix: path.Clean("/" + o.Prefix), wanted: map[string]wanted{}, links: map[string]bool{}}
	if err := source.walk(ctx, p.look); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Path, err)
	}
	if o.DryRun || len(p.done.Taken) == 0 {
		return &p.done, nil
	}
	if p.done.Saved, err = r.saveFirst(ctx, "import"); err != nil {
		return nil, err
	}
	p.at = 0
	if err := source.walk(ctx, p.take); err != nil {
		return nil, fmt.Errorf("%s: %w", o.Path, err)
	}
	if err := r.look(ctx); err != nil {
		return nil, err
	}
	g, err := r.commit(ctx, reason{cause: Imported, message: "import of " + shorten(path.Base(o.Path))})
	if errors.Is(err, ErrUnchanged) {
		return &p.done, nil
	}
	if err != nil {
		return nil, err
	}
	p.done.Made = g.Number
	return &p.done, nil
}

// importer finds out what there is at a path.
func (r *Running) importer(name string) (importer, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return &folderImport{name}, nil
	}
	return &archiveImport{file: name}, nil
}

// importPlan decides what is taken.
type importPlan struct {
	r      *Running
	prefix string
	done   ImportResult
	at     int               // number of the item
	wanted map[string]wanted // of each path the last one
	links  map[string]bool   // paths that are links, here or in the source
}

// target gives the path that an item has on the machine.
func (p *importPlan) target(name string) (string, string) {
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return name, "it leads out of its place"
		}
	}
	full := path.Join(p.prefix, name)
	if full == "/" {
		return full, ""
	}
	if err := validPath(full); err != nil {
		return name, err.Error()
	}
	return full, ""
}

// look decides about an item.
func (p *importPlan) look(i *item) error {
	p.at++
	if p.at > maxNames {
		return fmt.Errorf("%w: more than %d names", ErrTooMuch, maxNames)
	}
	full, why := p.target(i.name)
	if full == "/" && why == "" {
		return nil
	}
	if _, kept := p.r.View.List.Keep(full); !kept && why == "" {
		left := &p.done.NotListed
		if data := p.r.View.List.Data(); len(data) > 0 && Match(data)(full) {
			left = &p.done.InData
		}
		if i.entry.Kind != Folder && len(*left) < maxNotListed {
			*left = append(*left, full)
		}
		return nil
	}
	if why == "" {
		why = i.refused
	}
	if why == "" {
		var err error
		if why, err = p.below(full); err != nil {
			return err
		}
	}
	if why == "" && i.entry.Size > MaxFile {
		why = fmt.Sprintf("it has more than %d MiB", MaxFile>>20)
	}
	if why != "" {
		if len(p.done.Refused) < maxNotListed {
			p.done.Refused = append(p.done.Refused, Refused{full, why})
		}
		return nil
	}
	i.entry.Path = full
	p.links[full] = i.entry.Kind == Link
	same, err := p.same(i)
	if err != nil {
		return err
	}
	if _, again := p.wanted[full]; same && !again {
		p.done.Same++
		return nil
	}
	if _, again := p.wanted[full]; !again {
		p.done.Taken = append(p.done.Taken, full)
	}
	p.wanted[full] = wanted{p.at, i.entry}
	return nil
}

// wanted is an item that is taken: its number, and the entry that it becomes.
type wanted struct {
	at    int
	entry Entry
}

// below refuses what lies below a link: it would be written elsewhere.
func (p *importPlan) below(full string) (string, error) {
	for at := 1; at < len(full); at++ {
		if full[at] != '/' {
			continue
		}
		dir := full[:at]
		link, known := p.links[dir]
		if !known {
			e, err := p.r.root.entry(dir)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
			link = err == nil && e.Kind == Link
			p.links[dir] = link
		}
		if link {
			return "it lies below the link " + dir, nil
		}
	}
	return "", nil
}

// same tells whether an item is there already.
func (p *importPlan) same(i *item) (bool, error) {
	now, err := p.r.root.entry(i.entry.Path)
	if errors.Is(err, fs.ErrNotExist) {
		now = none(i.entry.Path)
	} else if err != nil {
		return false, err
	}
	if i.mayKeep && now.Kind == i.entry.Kind {
		i.entry.Mode, i.entry.UID, i.entry.GID, i.entry.Xattrs = now.Mode, now.UID, now.GID, now.Xattrs
	}
	if i.entry.Kind != File {
		return now.same(&i.entry), nil
	}
	// All of it is read, so that a damaged archive is found out.
	h := chunkstore.NewHasher()
	if _, err := io.Copy(h, i.content); err != nil {
		return false, err
	}
	i.entry.Content = h.ID()
	return now.same(&i.entry), nil
}

// take writes an item that look has decided to take.
func (p *importPlan) take(i *item) error {
	p.at++
	full, why := p.target(i.name)
	w := p.wanted[full]
	if why != "" || w.at != p.at {
		return nil
	}
	if err := put(p.r.folders.Root, &w.entry, i.content); err != nil {
		return fmt.Errorf("%s: %w", full, err)
	}
	return nil
}
