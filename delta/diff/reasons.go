package diff

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"

	"deltaup/chunkstore"
	"deltaup/mkimage/modulename"
	"deltaup/mkimage/modules"
)

// Reason is something that makes a step larger than it need be.
type Reason struct {
	Kind    string `json:"kind"`
	What    string `json:"what"` // one sentence
	Files   int    `json:"files"`
	Cost    int64  `json:"cost"` // of the affected files, in bytes
	Example string `json:"example,omitempty"`
}

// Kinds of reasons.
const (
	reasonFormat   = "format"  // another codec, block size or chunking
	reasonTimes    = "times"   // time stamps of names
	reasonOrder    = "order"   // data in another order
	reasonPyc      = "pyc"     // compiled Python that holds its source's time stamp
	reasonGzip     = "gzip"    // gzip members that hold a time stamp
	reasonFewBytes = "few"     // a file of the same size with a few other bytes
	reasonLines    = "lines"   // the same lines in another order
	reasonState    = "state"   // caches, logs and other state
	reasonModules  = "modules" // compressed kernel modules
	fewBytes       = 16        // the most differing bytes for reasonFewBytes
	inspectMax     = 16 << 20  // bytes; larger files are not looked into
)

// stateDirs are directories for caches, logs and other state, which an image need not have.
var stateDirs = []string{
	"var/cache/",
	"var/log/",
	"var/tmp/",
	"tmp/",
	"run/",
	"var/lib/apt/lists/",
	"root/.cache/",
}

// findReasons looks for changes that look avoidable.
func (c *comparison) findReasons() error {
	c.formatReasons()
	n := &c.report.Names
	if both := n.Total - n.Added; n.Times > 0 && n.Times*10 >= both {
		c.reason(Reason{Kind: reasonTimes, Files: n.Times, Example: n.TimesExample,
			What: "time stamps are all that changed of many names: make the image with a fixed --mtime or SOURCE_DATE_EPOCH, or from files that keep theirs"})
	}
	if n.Moved > 0 && n.Repacked > 1<<20 && n.Moved*10 >= c.report.Routes[2].Files {
		c.reason(Reason{Kind: reasonOrder, Files: n.Moved,
			What: "unchanged files lie in another order, so that their blocks are compressed again: keep the --order file, or give --previous"})
	}
	found := map[string]*Reason{}
	old := map[string]*chunkstore.Content{}
	for _, e := range c.from.Recipe.Entries.All() {
		old[e.Path] = e.Content
	}
	current := map[string]*chunkstore.Content{}
	for _, e := range c.to.Recipe.Entries.All() {
		current[e.Path] = e.Content
	}
	for i := range c.report.Files {
		f := &c.report.Files[i]
		c.o.Progress(PhaseReasons, int64(i), int64(len(c.report.Files)))
		kind, err := c.lookInto(f, old[f.Path], current[f.Path])
		if err != nil {
			return err
		}
		if kind == "" {
			continue
		}
		if found[kind] == nil {
			// files come in order of cost, so this one costs most
			found[kind] = &Reason{Kind: kind, What: sentences[kind], Example: f.Path}
		}
		found[kind].Files++
		found[kind].Cost += f.Cost
	}
	for _, r := range found {
		if r.Kind != reasonModules || r.Cost >= modules.Dear {
			c.reason(*r)
		}
	}
	slices.SortStableFunc(c.report.Reasons, func(a, b Reason) int {
		return cmp.Or(cmp.Compare(b.Cost, a.Cost), strings.Compare(a.Kind, b.Kind))
	})
	return nil
}

func (c *comparison) reason(r Reason) { c.report.Reasons = append(c.report.Reasons, r) }

var sentences = map[string]string{
	reasonPyc:  "compiled Python differs in its source's time stamp alone: give sources fixed time stamps, or compile with --invalidation-mode unchecked-hash",
	reasonGzip: "gzip files differ in their time stamp alone: compress with gzip -n",
	reasonFewBytes: fmt.Sprintf(
		"files of the same size differ in at most %d bytes: a time stamp or a build id inside?",
		fewBytes),
	reasonModules: "kernel modules are compressed, each by itself, and have little in common with the old ones: make the images with --plain-modules",
	reasonLines:   "text files have the same lines in another order: sort what makes them",
	reasonState:   "caches, logs and other state that an image need not hold: leave them out with --exclude",
}

// formatReasons finds the settings whose change changes all blocks or all chunks.
func (c *comparison) formatReasons() {
	from, to := c.from.Recipe, c.to.Recipe
	if from.Codec != to.Codec {
		c.reason(
			Reason{
				Kind: reasonFormat,
				What: fmt.Sprintf(
					"the codec changed from %q to %q: every block is compressed again", from.Codec,
					to.Codec),
			},
		)
	}
	if from.BlockSize != to.BlockSize {
		c.reason(
			Reason{
				Kind: reasonFormat,
				What: fmt.Sprintf(
					"the block size changed from %d to %d: every block is compressed again",
					from.BlockSize, to.BlockSize),
			},
		)
	}
	if from.Chunking != to.Chunking {
		c.reason(
			Reason{
				Kind: reasonFormat,
				What: "contents are cut otherwise: hardly a chunk of a changed file is known",
			},
		)
	}
}

// lookInto gives the kind of the reason for which a file costs something, or "" when it finds none.
func (c *comparison) lookInto(f *FileCost, old, current *chunkstore.Content) (string, error) {
	for _, dir := range stateDirs {
		if strings.HasPrefix(f.Path, dir) {
			return reasonState, nil
		}
	}
	if _, ok := modulename.Plain(f.Path); ok {
		return reasonModules, nil
	}
	if old == nil || current == nil || old.Size != current.Size || old.Size > inspectMax {
		return "", nil
	}
	a, err := c.from.read(c, old)
	if err != nil {
		return "", fmt.Errorf("/%s of the old release: %w", f.Path, err)
	}
	b, err := c.to.read(c, current)
	if err != nil {
		return "", fmt.Errorf("/%s of the new release: %w", f.Path, err)
	}
	return kindOfChange(f.Path, a, b), nil
}

func (s *Side) read(c *comparison, content *chunkstore.Content) ([]byte, error) {
	if err := c.ctx.Err(); err != nil {
		return nil, err
	}
	in, err := s.Contents.Open(c.ctx, content)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	b := make([]byte, content.Size)
	if n, err := in.ReadAt(b, 0); n < len(b) {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return b, nil
}

// kindOfChange compares two files of the same size.
func kindOfChange(path string, a, b []byte) string {
	first, last, count := differences(a, b)
	switch {
	case count == 0:
		return ""
	case strings.HasSuffix(path, ".pyc") && len(a) >= 16 && binary.LittleEndian.Uint32(a[4:]) == 0 && first >= 8 && last < 12:
		return reasonPyc // PEP 552: magic, flags, the source's time and size
	case len(a) >= 10 && a[0] == 0x1f && a[1] == 0x8b && first >= 4 && last < 8:
		return reasonGzip // RFC 1952: MTIME
	case sameLines(a, b):
		return reasonLines
	case count <= fewBytes:
		return reasonFewBytes
	}
	return ""
}

// differences compares two strings of the same length: it gives the first and the last place at
// which they differ, and the number of such places.
func differences(a, b []byte) (first, last, count int) {
	first, last = -1, -1
	for i := range a {
		if a[i] != b[i] {
			if count == 0 {
				first = i
			}
			last = i
			count++
		}
	}
	return first, last, count
}

// sameLines tells whether two texts have the same lines, in any order.
func sameLines(a, b []byte) bool {
	if bytes.IndexByte(a, 0) >= 0 || bytes.IndexByte(b, 0) >= 0 {
		return false
	}
	la, lb := bytes.Split(a, []byte("\n")), bytes.Split(b, []byte("\n"))
	if len(la) != len(lb) || len(la) < 3 {
		return false
	}
	slices.SortFunc(la, bytes.Compare)
	slices.SortFunc(lb, bytes.Compare)
	return slices.EqualFunc(la, lb, bytes.Equal)
}
