package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// machine writes the report of one machine. requests are offset and length, in sectors.
func machine(t *testing.T, dir, name string, seconds float64, requests ...[2]int) {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "seconds %.3f\r\ncpu 1.5\r\n# tracer: nop\r\n", seconds)
	for i, r := range requests {
		fmt.Fprintf(&b, "  systemd-1 [001] ..... %d.5: block_rq_issue: 259,0 RA %d () %d + %d [init]\r\n", i+1, r[1]*512, r[0], r[1])
		fmt.Fprintf(&b, "  loop0-7 [001] ..... %d.6: block_rq_issue: 7,0 R 512 () 9 + 1 [init]\r\n", i+1)
	}
	fmt.Fprintf(&b, "  guest-9 [001] ..... %.1f: block_rq_issue: 259,0 R 512 () 99 + 1 [guest]\r\nend\r\n", seconds+1)
	if err := os.WriteFile(filepath.Join(dir, name+".report"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestReport(t *testing.T) {
	in, out := t.TempDir(), filepath.Join(t.TempDir(), "boot")
	for i, seconds := range []float64{10, 12, 30} {
		machine(t, in, fmt.Sprintf("path.free.%d", i), seconds, [2]int{0, 8})
		machine(t, in, fmt.Sprintf("path.hdd.%d", i), seconds+6, [2]int{0, 8}, [2]int{8, 8}, [2]int{100, 16}, [2]int{0, 2})
		machine(t, in, fmt.Sprintf("prefetch.free.%d", i), seconds, [2]int{0, 8})
		machine(t, in, fmt.Sprintf("prefetch.hdd.%d", i), seconds+1.5, [2]int{0, 34})
	}
	if err := report(in, out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(out, "boot.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	if err := json.Unmarshal(text, &rows); err != nil {
		t.Fatal(err)
	}
	r := find(rows, "hdd", "path")
	if len(rows) != 4 || r == nil || r.Boots != 3 || r.Seconds != 18 || r.Fastest != 16 || r.Slowest != 36 || r.Added == nil || *r.Added != 6 ||
		r.Requests != 4 || r.Bytes != 34*512 || r.Seeks != 2 {
		t.Errorf("%s", text)
	}
	page, err := os.ReadFile(filepath.Join(out, "boot.md"))
	const want = "- hdd: trace order with prefetch takes 25.0 % of path order's read requests, and the disk adds 25 % of the seconds"
	if err != nil || !strings.Contains(string(page), want) {
		t.Errorf("%v: %s", err, page)
	}
	for _, disk := range []string{"free", "hdd"} {
		svg, err := os.Open(filepath.Join(out, disk+".svg"))
		if err != nil {
			t.Fatal(err)
		}
		defer svg.Close()
		marks := 0
		for in := xml.NewDecoder(svg); ; {
			token, err := in.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s.svg: %v", disk, err)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "path" {
				for _, a := range e.Attr {
					if a.Name.Local == "d" {
						marks += strings.Count(a.Value, "v-")
					}
				}
			}
		}
		if want := map[string]int{"free": 2, "hdd": 5}[disk]; marks != want {
			t.Errorf("%s.svg has %d marks, want %d", disk, marks, want)
		}
	}
}

// TestUnfinished demands that readBoot refuses the report of a machine that did not finish it.
func TestUnfinished(t *testing.T) {
	for name, text := range map[string]string{
		"no end": "seconds 3.000\r\n", "no seconds": "end\r\n", "no number": "seconds x\r\nend\r\n", "something behind the end": "seconds 3.0\nend\nmore\n",
	} {
		in := t.TempDir()
		if err := os.WriteFile(filepath.Join(in, "path.hdd.1.report"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := report(in, t.TempDir()); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := report(t.TempDir(), t.TempDir()); err == nil {
		t.Error("no reports: no error")
	}
}
