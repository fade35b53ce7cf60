package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"deltaup/mkimage/internal/recipetext"
)

// peekSize is how many bytes of a file decide in which form it is.
const peekSize = 64 << 10

// Read reads a trace in any of three forms: what Trace.WriteTo writes, the output of strace -f -e
// trace=%file, or a list of paths, one a line, in which it skips empty lines and those that begin
// with "#". Errors name the line and wrap chunkstore.ErrCorrupt or chunkstore.ErrVersion, or are
// those of rd.
func Read(rd io.Reader) (*Trace, error) {
	in := bufio.NewReaderSize(rd, peekSize)
	head, err := in.Peek(peekSize)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	switch {
	case bytes.HasPrefix(head, []byte(format.Magic+" ")):
		return parse(in)
	case hasCalls(head):
		return readLines(in, newStrace())
	}
	return readLines(in, list{})
}

// liner reads lines of a foreign format. For each it gives the path in the line, or "" when there
// is none, and when the file was accessed.
type liner interface {
	line(text string) (path string, at time.Duration, err error)
}

// readLines makes a trace of the files in the lines, in their order.
func readLines(rd io.Reader, l liner) (*Trace, error) {
	in := bufio.NewScanner(rd)
	in.Buffer(nil, maxLine)
	t := &Trace{}
	seen := make(map[string]bool)
	n := 0
	for in.Scan() {
		n++
		name, at, err := l.line(in.Text())
		if err != nil {
			return nil, fmt.Errorf("trace: line %d: %w", n, err)
		}
		// The slash in front keeps ".." from leading out of the image.
		name = strings.TrimPrefix(path.Clean("/"+name), "/")
		if name == "" || seen[name] {
			continue
		}
		if err := checkPath(name); err != nil {
			return nil, fmt.Errorf("trace: line %d: %w", n, err)
		}
		if len(t.Files) == maxFiles {
			return nil, fmt.Errorf("trace: line %d: %w", n,
				recipetext.Corrupt("more than %d files", maxFiles))
		}
		if len(t.Files) > 0 {
			at = max(at, t.Files[len(t.Files)-1].First)
		}
		seen[name] = true
		t.Files = append(t.Files, File{Path: name, First: at})
	}
	if errors.Is(in.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("trace: line %d: %w", n+1,
			recipetext.Corrupt("longer than %d bytes", maxLine))
	}
	if in.Err() != nil {
		return nil, fmt.Errorf("read trace: %w", in.Err())
	}
	return t, nil
}

// list is a plain list of paths.
type list struct{}

func (list) line(text string) (string, time.Duration, error) {
	if text == "" || strings.HasPrefix(text, "#") {
		return "", 0, nil
	}
	return text, 0, nil
}
