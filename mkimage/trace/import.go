package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
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
	case straceCall.Match(head):
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

// straceCall matches a system call that opens what it names, as strace prints it. A process number
// (-f, -o) and a time (-t, -r, -ttt) may stand before it. The groups: process, seconds, folder (of
// -y), path.
var straceCall = regexp.MustCompile(`(?m)^(?:\[pid +)?(\d+)?\]? *(?:(\d+\.\d+|[\d:.]+) +)?` +
	`(?:open|creat|openat|openat2|execve|execveat|uselib)\(` +
	`(?:(?:AT_FDCWD|\d+)(?:<((?:[^>\\]|\\.)*)>)?, )?"((?:[^"\\]|\\.)*)"`)

// straceEnd matches the end of a call that another process's line interrupted.
var straceEnd = regexp.MustCompile(`^(?:\[pid +)?(\d+)?\]? *(?:[\d:.]+ +)?<\.\.\. \w+ resumed>`)

// strace reads the lines of strace.
type strace struct {
	pending map[string]string // path of the unfinished call, by process
	start   float64           // seconds of the first line with a time
}

func newStrace() *strace { return &strace{pending: make(map[string]string)} }

// maxPending bounds how many calls may be unfinished at once.
const maxPending = 1 << 15

func (s *strace) line(text string) (string, time.Duration, error) {
	if end := straceEnd.FindStringSubmatch(text); end != nil {
		name := s.pending[end[1]]
		delete(s.pending, end[1])
		return succeeded(name, text), 0, nil
	}
	call := straceCall.FindStringSubmatch(text)
	if call == nil {
		return "", 0, nil
	}
	name, err := unquote(call[4])
	if err != nil {
		return "", 0, err
	}
	if !strings.HasPrefix(name, "/") {
		folder, err := unquote(call[3])
		if err != nil || folder == "" {
			return "", 0, err // relative to a folder that only strace -y tells
		}
		name = folder + "/" + name
	}
	if strings.HasSuffix(text, "<unfinished ...>") {
		if len(s.pending) == maxPending {
			return "", 0, recipetext.Corrupt("more than %d unfinished calls", maxPending)
		}
		s.pending[call[1]] = name
		return "", 0, nil
	}
	return succeeded(name, text), s.since(call[2]), nil
}

// since is the time from the first line to the one with this time stamp, of strace -ttt.
func (s *strace) since(stamp string) time.Duration {
	at, err := strconv.ParseFloat(stamp, 64)
	if err != nil || at < 0 || at > 1<<40 {
		return 0
	}
	if s.start == 0 {
		s.start = at
	}
	return max(0, time.Duration((at-s.start)*1e6)*time.Microsecond)
}

// succeeded gives name back if the line says that the call succeeded, else "".
func succeeded(name, text string) string {
	i := strings.LastIndex(text, " = ")
	if i < 0 || strings.HasPrefix(text[i:], " = -1 ") || strings.HasPrefix(text[i:], " = ?") {
		return ""
	}
	return name
}

// unquote undoes the escapes of strace, which are those of C.
func unquote(text string) (string, error) {
	if !strings.Contains(text, `\`) {
		return text, nil
	}
	var b []byte
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			b = append(b, text[i])
			continue
		}
		i++
		if i == len(text) {
			return "", recipetext.Corrupt("%q: bad escape", text)
		}
		if n := octal(text[i:]); n > 0 {
			v, err := strconv.ParseUint(text[i:i+n], 8, 8)
			if err != nil {
				return "", recipetext.Corrupt("%q: bad escape", text)
			}
			b, i = append(b, byte(v)), i+n-1
			continue
		}
		if j := strings.IndexByte(`abfnrtv"\`, text[i]); j >= 0 {
			b = append(b, "\a\b\f\n\r\t\v\"\\"[j])
			continue
		}
		return "", recipetext.Corrupt("%q: bad escape", text)
	}
	return string(b), nil
}

// octal counts the octal digits at the front of text, at most three.
func octal(text string) int {
	n := 0
	for n < 3 && n < len(text) && '0' <= text[n] && text[n] <= '7' {
		n++
	}
	return n
}
