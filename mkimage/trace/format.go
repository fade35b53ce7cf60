package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// magic is the first line of every trace; the number is the format's version.
const magic = "deltaup trace 1"

// Limits of the format.
const (
	maxLine   = 1 << 20 // bytes of one line
	maxPath   = 4095    // PATH_MAX without its zero byte
	maxRanges = 1 << 14 // of one file
	maxOffset = 1 << 50 // bytes: no file of an image is larger
)

// ErrCorrupt is wrapped when a file is no trace.
var ErrCorrupt = errors.New("not a trace")

// ErrVersion is wrapped when a trace's format is newer than this program.
var ErrVersion = errors.New("unknown version of the format")

// WriteTo writes t as doc/trace.md says.
func (t *Trace) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: w}
	b := bufio.NewWriter(c)
	fmt.Fprintf(b, "%s\nlost %d\n", magic, t.Lost)
	var line []byte
	for i := range t.Files {
		line = t.Files[i].append(line[:0])
		if _, err := b.Write(line); err != nil {
			return c.n, err
		}
	}
	err := b.Flush()
	return c.n, err
}

// append adds f's line.
func (f *File) append(b []byte) []byte {
	us := f.First.Microseconds()
	b = fmt.Appendf(b, "%d.%06d %d ", us/1e6, us%1e6, f.Bytes())
	if len(f.Ranges) == 0 {
		b = append(b, '-')
	}
	for i, r := range f.Ranges {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%d+%d", r.Offset, r.Length)
	}
	b = append(b, ' ')
	return append(appendPath(b, f.Path), '\n')
}

// appendPath writes what would end a line, and what is no UTF-8, as \xHH, and a backslash as two.
func appendPath(b []byte, path string) []byte {
	for i := 0; i < len(path); {
		r, n := utf8.DecodeRuneInString(path[i:])
		switch {
		case r == '\\':
			b = append(b, `\\`...)
		case r < ' ' || r == 0x7f || r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, `\x%02x`, path[i])
		default:
			b = append(b, path[i:i+n]...)
		}
		i += n
	}
	return b
}

// Parse reads what Trace.WriteTo wrote and nothing else: what it accepts is written as
// the same bytes again. Errors name the line and wrap ErrCorrupt or ErrVersion, or are rd's.
func Parse(rd io.Reader) (*Trace, error) {
	p := parser{in: newScanner(rd)}
	t, err := p.trace()
	if readErr := p.in.Err(); readErr != nil && !errors.Is(readErr, bufio.ErrTooLong) {
		return nil, fmt.Errorf("read trace: %w", readErr)
	}
	if err != nil {
		return nil, fmt.Errorf("trace, line %d: %w", p.line, err)
	}
	return t, nil
}

// newScanner gives lines of at most maxLine, their ends kept, so that a missing one is noticed.
func newScanner(rd io.Reader) *bufio.Scanner {
	in := bufio.NewScanner(rd)
	in.Buffer(nil, maxLine)
	in.Split(func(data []byte, atEOF bool) (int, []byte, error) {
		if i := bytes.IndexByte(data, '\n'); i >= 0 {
			return i + 1, data[:i+1], nil
		}
		if atEOF && len(data) > 0 {
			return len(data), data, nil
		}
		return 0, nil, nil
	})
	return in
}

type parser struct {
	in   *bufio.Scanner
	line int
}

// next gives a line without its end; io.EOF behind the last.
func (p *parser) next() (string, error) {
	p.line++
	if !p.in.Scan() {
		if p.in.Err() != nil {
			return "", fmt.Errorf("longer than %d bytes: %w", maxLine, ErrCorrupt)
		}
		return "", io.EOF
	}
	text, ok := strings.CutSuffix(p.in.Text(), "\n")
	if !ok {
		return "", fmt.Errorf("cut off: %w", ErrCorrupt)
	}
	return text, nil
}

func (p *parser) trace() (*Trace, error) {
	first, err := p.next()
	if err != nil && err != io.EOF {
		return nil, err
	}
	if first != magic {
		if strings.HasPrefix(first, "deltaup trace ") {
			return nil, fmt.Errorf("%q: %w", first, ErrVersion)
		}
		return nil, fmt.Errorf("it begins with %.40q: %w", first, ErrCorrupt)
	}
	lost, err := p.next()
	if err != nil && err != io.EOF {
		return nil, err
	}
	t := &Trace{}
	number, ok := strings.CutPrefix(lost, "lost ")
	if t.Lost, err = parseNumber(number, 1<<62); err != nil || !ok {
		return nil, fmt.Errorf("%.40q where lost events are told: %w", lost, ErrCorrupt)
	}
	seen := make(map[string]bool)
	for {
		text, err := p.next()
		if err == io.EOF {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		f, err := parseFile(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%w: %w", err, ErrCorrupt)
		case seen[f.Path]:
			return nil, fmt.Errorf("%q twice: %w", f.Path, ErrCorrupt)
		case len(t.Files) > 0 && f.First < t.Files[len(t.Files)-1].First:
			return nil, fmt.Errorf("%q is out of order: %w", f.Path, ErrCorrupt)
		case len(t.Files) == MaxFiles:
			return nil, fmt.Errorf("more than %d files: %w", MaxFiles, ErrCorrupt)
		}
		seen[f.Path] = true
		t.Files = append(t.Files, f)
	}
}

// parseFile reads the line of one file.
func parseFile(text string) (File, error) {
	fields := strings.SplitN(text, " ", 4)
	if len(fields) != 4 {
		return File{}, errors.New("a line is: seconds, bytes, ranges, path")
	}
	var f File
	var err error
	if f.First, err = parseSeconds(fields[0]); err != nil {
		return File{}, err
	}
	if f.Ranges, err = parseRanges(fields[2]); err != nil {
		return File{}, err
	}
	if fields[1] != strconv.FormatInt(f.Bytes(), 10) {
		return File{}, fmt.Errorf("%q is not the sum of the ranges", fields[1])
	}
	if f.Path, err = parsePath(fields[3]); err != nil {
		return File{}, err
	}
	return f, nil
}

func parseSeconds(text string) (time.Duration, error) {
	whole, fraction, ok := strings.Cut(text, ".")
	s, err := parseNumber(whole, 1<<32)
	if !ok || err != nil || len(fraction) != 6 {
		return 0, fmt.Errorf("%.40q are no seconds with six decimals", text)
	}
	us, err := strconv.ParseUint(fraction, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.40q are no seconds with six decimals", text)
	}
	return time.Duration(s)*time.Second + time.Duration(us)*time.Microsecond, nil
}

func parseRanges(text string) ([]Range, error) {
	if text == "-" {
		return nil, nil
	}
	parts := strings.SplitN(text, ",", maxRanges+1)
	if len(parts) > maxRanges {
		return nil, fmt.Errorf("more than %d ranges", maxRanges)
	}
	ranges := make([]Range, len(parts))
	for i, part := range parts {
		offset, length, ok := strings.Cut(part, "+")
		o, err := parseNumber(offset, maxOffset)
		n, err2 := parseNumber(length, maxOffset)
		if !ok || err != nil || err2 != nil || n == 0 || i > 0 && o <= ranges[i-1].End() {
			return nil, fmt.Errorf("%.40q is no range behind the one before", part)
		}
		ranges[i] = Range{o, n}
	}
	return ranges, nil
}

// parseNumber reads a decimal number below limit as strconv writes it.
func parseNumber(text string, limit int64) (int64, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n >= limit || strconv.FormatInt(n, 10) != text {
		return 0, fmt.Errorf("%.40q is no number", text)
	}
	return n, nil
}

// parsePath undoes appendPath, and accepts nothing that it does not write.
func parsePath(text string) (string, error) {
	path := []byte(text)
	if strings.Contains(text, `\`) {
		path = path[:0]
		for i := 0; i < len(text); i++ {
			switch {
			case text[i] != '\\':
				path = append(path, text[i])
			case strings.HasPrefix(text[i:], `\\`):
				path, i = append(path, '\\'), i+1
			case strings.HasPrefix(text[i:], `\x`) && len(text) >= i+4:
				n, err := strconv.ParseUint(text[i+2:i+4], 16, 8)
				if err != nil {
					return "", fmt.Errorf("%q: bad escape", text)
				}
				path, i = append(path, byte(n)), i+3
			default:
				return "", fmt.Errorf("%q: bad escape", text)
			}
		}
	}
	if err := checkPath(string(path)); err != nil {
		return "", err
	}
	if string(appendPath(nil, string(path))) != text {
		return "", fmt.Errorf("%q: escaped otherwise than a trace is written", text)
	}
	return string(path), nil
}

// checkPath refuses what cannot name a file of an image.
func checkPath(path string) error {
	switch {
	case path == "" || len(path) > maxPath:
		return fmt.Errorf("a path of %d bytes", len(path))
	case strings.Contains(path, "\x00"):
		return fmt.Errorf("%q has a zero byte", path)
	}
	for name := range strings.SplitSeq(path, "/") {
		if name == "" || name == "." || name == ".." {
			return fmt.Errorf("%q is no path from the image's root", path)
		}
	}
	return nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
