package trace

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"deltaup/chunkstore"
)

var sample = &Trace{
	Lost: 3,
	Files: []File{
		{Path: "usr/lib/systemd/systemd", First: 1500 * time.Millisecond, ranges: []byteRange{{0, 8192}, {65536, 4096}}},
		{Path: "etc/a b%\n\xff", First: 1500 * time.Millisecond},
		{Path: "usr/bin/ls", First: 2 * time.Hour, ranges: []byteRange{{0, 142144}}},
	},
}

const sampleText = `deltaup-trace 1
lost 3
1500000 12288 usr/lib/systemd/systemd 0+8192,65536+4096
1500000 0 etc/a%20b%25%0A%FF -
7200000000 142144 usr/bin/ls 0+142144
end 5
`

func TestWriteTo(t *testing.T) {
	var b bytes.Buffer
	n, err := sample.WriteTo(&b)
	if err != nil || n != int64(b.Len()) || b.String() != sampleText {
		t.Fatalf("wrote %d bytes, error %v:\n%s", n, err, b.String())
	}
}

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(sampleText))
	if err != nil || !reflect.DeepEqual(got, sample) {
		t.Fatalf("parsed %+v, error %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	const head = "deltaup-trace 1\nlost 0\n"
	for name, c := range map[string]struct {
		text string
		want string // part of the message
	}{
		"nothing":             {"", "line 1"},
		"another file":        {"#!/bin/sh\n", "not a trace"},
		"no lost line":        {"deltaup-trace 1\nend 1\n", `expected a line "lost"`},
		"cut off":             {strings.TrimSuffix(sampleText, "end 5\n"), "ends before its end line"},
		"few fields":          {head + "1 0 a\nend 3\n", "too few fields"},
		"wrong sum":           {head + "1 5 a 0+4\nend 3\n", "permitted spelling"},
		"ranges overlap":      {head + "1 8 a 0+4,3+4\nend 3\n", "no range behind"},
		"ranges touch":        {head + "1 8 a 0+4,4+4\nend 3\n", "no range behind"},
		"empty range":         {head + "1 0 a 0+0\nend 3\n", "no range behind"},
		"range too far":       {head + "1 1 a 9007199254740992+1\nend 3\n", "no range behind"},
		"path with dots":      {head + "1 0 a/../b -\nend 3\n", "no path from the image's root"},
		"absolute path":       {head + "1 0 /a -\nend 3\n", "no path from the image's root"},
		"zero byte":           {head + "1 0 a%00b -\nend 3\n", "is no path"},
		"twice":               {head + "1 0 a -\n2 0 a -\nend 4\n", "there twice"},
		"out of order":        {head + "2 0 a -\n1 0 b -\nend 4\n", "out of order"},
		"needless escape":     {head + "1 0 %61 -\nend 3\n", "permitted spelling"},
		"bytes after the end": {head + "end 2\nx", "bytes after"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(strings.NewReader(c.text))
			if !errors.Is(err, chunkstore.ErrCorrupt) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
	_, err := parse(strings.NewReader("deltaup-trace 2\n"))
	if !errors.Is(err, chunkstore.ErrVersion) {
		t.Errorf("version 2 gave %v", err)
	}
}

// FuzzRead reads any bytes. WriteTo must write what Parse accepts as the same bytes again, and
// Parse must accept what WriteTo writes of any trace that Read gives.
func FuzzRead(f *testing.F) {
	f.Add([]byte(sampleText))
	f.Add([]byte("/usr/bin/ls\n# no\n../x\n"))
	f.Add([]byte("[pid 12] openat(AT_FDCWD</tmp>, \"a\\n\\\"b\\101\", O_RDONLY) = 3\n"))
	f.Add([]byte("12 1.5 execve(\"/bin/x\", <unfinished ...>\n12 1.6 <... execve resumed>) = 0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		var b bytes.Buffer
		if _, err := got.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(data, []byte("deltaup-trace ")) && !bytes.Equal(b.Bytes(), data) {
			t.Fatalf("%q was written as %q", data, b.Bytes())
		}
		again, err := parse(&b)
		if err != nil || !reflect.DeepEqual(again, got) {
			t.Fatalf("%+v came back as %+v, error %v", got, again, err)
		}
	})
}
