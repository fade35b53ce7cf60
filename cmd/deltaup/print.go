package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"deltaup/internal/human"
)

const (
	maxMessage = 2 << 10  // bytes of an error or a warning
	maxText    = 64 << 10 // of anything else that is put into a line
)

// printf is the one way of text to people: what is put in for a verb becomes part of one printable
// line, whoever made it. Line breaks and tabs are the format's. As with fmt.Printf, nobody need
// look at its error.
func printf(w io.Writer, format string, args ...any) error {
	for i := range args {
		switch args[i].(type) {
		case int, int64, uint32, float64: // also a width
		default:
			args[i] = inLine{args[i]}
		}
	}
	_, err := fmt.Fprintf(w, format, args...)
	return err
}

// inLine is a value whose text is made printable.
type inLine struct{ v any }

func (a inLine) Format(f fmt.State, verb rune) {
	// into memory
	_, _ = io.WriteString(f, human.Line(fmt.Sprintf(fmt.FormatString(f, verb), a.v), maxText))
}

// warn prints one line to standard error.
func warn(w io.Writer, text string) {
	printf(w, "deltaup: warning: %s\n", human.Line(text, maxMessage))
}

// newJSON writes values as JSON, one a line.
func newJSON(w io.Writer) *json.Encoder { return json.NewEncoder(jsonWriter{w}) }

// printJSON writes one value as JSON, for people too.
func printJSON(w io.Writer, v any) error {
	enc := newJSON(w)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printFailure writes what ended a command, the last line of standard output.
func printFailure(w io.Writer, f failure) {
	// An unreadable stdout changes nothing: the exit code says it too.
	_ = newJSON(w).Encode(struct {
		Event string `json:"event"`
		failure
	}{"error", f})
}

// printReport writes a report as JSON. What the report finds wrong is err, which is returned.
func printReport(w io.Writer, report any, err error) error {
	if printErr := printJSON(w, report); printErr != nil {
		return printErr
	}
	if err != nil {
		return &reportedError{err}
	}
	return nil
}

// reportedError is what a report on standard output tells already.
type reportedError struct{ error }

func (e *reportedError) Unwrap() error { return e.error }

func isReported(err error) bool {
	var reported *reportedError
	return errors.As(err, &reported)
}

// jsonWriter escapes what an Encoder leaves as it is and a terminal could take for a command. Such
// characters stand nowhere but in strings.
type jsonWriter struct{ w io.Writer }

func (j jsonWriter) Write(p []byte) (int, error) {
	var out []byte
	for i := 0; i < len(p); {
		r, n := utf8.DecodeRune(p[i:])
		switch {
		case r < 0x7f || unicode.IsPrint(r):
			out = append(out, p[i:i+n]...)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
	}
	if _, err := j.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// lineWriter takes one line a write from code that is not ours, or does not print: Go's log, the
// lines of serve.
type lineWriter struct {
	w      io.Writer
	prefix string
}

func (l lineWriter) Write(p []byte) (int, error) {
	if err := printf(l.w, "%s%s\n", l.prefix, human.Line(string(bytes.TrimRight(p, "\n")), maxMessage)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// captureLog has what libraries log pass by here.
func captureLog(stderr io.Writer) {
	log.SetFlags(0)
	log.SetOutput(lineWriter{stderr, "deltaup: "})
}

// count is a number and its noun, "1 pack", "2 packs".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", human.Comma(n), noun)
}
