package bench

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// results is the folder of the committed report of the last full run.
const results = "results"

// TestResults renders the committed figures again and demands the committed page and tables.
//
//	go run -C bench ./cmd/deltaup-bench -render -readme ../README.md,../doc/bench.md -o results
func TestResults(t *testing.T) {
	r := lastResults(t)
	for name, render := range map[string]func() ([]byte, error){
		"results.md": r.Markdown, "report.html": r.HTML, resultsName: func() ([]byte, error) { return encode(r) },
		scaleName: func() ([]byte, error) { return encode(r.Scale) },
		wholeName: func() ([]byte, error) { return encode(r.Whole) },
	} {
		got, err := render()
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join(results, name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what results.json gives: render it again", name)
		}
	}
	for _, name := range []string{"README.md", "doc/bench.md"} {
		page, err := os.ReadFile("../" + name)
		if err != nil {
			t.Fatal(err)
		}
		if want, err := r.quote(page); err != nil || !bytes.Equal(page, want) {
			t.Errorf("%s quotes other figures: %v", name, err)
		}
	}
	if size := folderSize(results); size > 1<<20 {
		t.Errorf("%s has %d bytes", results, size)
	}
}

func lastResults(t *testing.T) *Report {
	t.Helper()
	r, err := Read(results)
	if err == nil && r.Scale == nil {
		err = errors.New("no " + scaleName)
	}
	if err == nil && r.Whole == nil {
		err = errors.New("no " + wholeName)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRead demands that Read refuses unknown formats, and takes a report without a scale.
func TestRead(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{"", "[]", `{"format": 2}`} {
		put(resultsName, text)
		if _, err := Read(dir); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
	put(resultsName, `{"format": 1}`)
	if r, err := Read(dir); err != nil || r.Scale != nil {
		t.Errorf("without a scale: %+v, %v", r, err)
	}
	put(scaleName, `{"format": 2}`)
	if _, err := Read(dir); err == nil {
		t.Error("a scale of another format is accepted")
	}
	put(scaleName, `{"format": 1}`)
	put(wholeName, `{"format": 2}`)
	if _, err := Read(dir); err == nil {
		t.Error("whole updates of another format are accepted")
	}
	if err := os.Remove(filepath.Join(dir, wholeName)); err != nil {
		t.Fatal(err)
	}
	want := sampleReport()
	if err := want.WriteFiles(dir); err != nil {
		t.Fatal(err)
	}
	r, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.HTML(); err != nil || !bytes.Contains(got, []byte(want.Scale.about())) {
		t.Errorf("what was written is not what is read: %v", err)
	}
}

// TestHTML demands that the page of a sample is well-formed, needs nothing from elsewhere, and
// shows every chart and name.
func TestHTML(t *testing.T) {
	b, err := sampleReport().HTML()
	if err != nil {
		t.Fatal(err)
	}
	html := string(b)
	for _, refused := range []string{"<script", "<link rel=\"stylesheet", "src=", "@import", "url(", "NaN", "Inf", "ZgotmplZ", "<no value>"} {
		if strings.Contains(html, refused) {
			t.Errorf("the page has %q", refused)
		}
	}
	if n := strings.Count(html, "http"); n > 0 {
		t.Errorf("the page names %d addresses", n)
	}
	if n := strings.Count(html, `class="chart wide"`); n != 27 || strings.Count(html, `class="chart narrow"`) != n {
		t.Errorf("%d charts, want 27", n)
	}
	for _, wanted := range []string{"deltaup from 64 kbit/s to", "3.20 MB", "casync &amp; co", "desync is not installed", `class="behind"`, "hollow", "A run of its own", "<title>rdiff, image</title>"} {
		if !strings.Contains(html, wanted) {
			t.Errorf("the page lacks %q", wanted)
		}
	}
	for i, part := range strings.Split(html, "<svg")[1:] {
		picture, _, ok := strings.Cut("<svg"+part, "</svg>")
		d := xml.NewDecoder(strings.NewReader(picture + "</svg>"))
		for ok {
			_, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("picture %d: %v", i, err)
			}
		}
	}
}

// TestStandings demands that Standings tells where deltaup is worse as well as where it is better.
func TestStandings(t *testing.T) {
	ahead := map[string]bool{}
	for _, s := range sampleReport().Standings() {
		ahead[s.Measure] = s.Ahead
	}
	if !ahead["bytes sent by the server"] || ahead["peak memory on the target"] || ahead["CPU time on the target"] || len(ahead) != 11 {
		t.Errorf("%v", ahead)
	}
}

// TestPeers demands that all rows have the same peers, a time only where there is one, and that of
// a real run rather than a computed one where all peers have it.
func TestPeers(t *testing.T) {
	r := sampleReport()
	if heads := r.peerHeads(); !slices.Equal(heads, []peerHead{{"OSTree delta", "tree"}, {"desync", "image"}, {"xdelta3 of tars", "tar"}}) {
		t.Fatalf("%v", heads)
	}
	lossy := Line{Rate: 10e6, RTT: curveRTT, Loss: 0.01}
	r.Points = append(r.Points, Point{Method: "deltaup", Line: lossy, Measured: true, Seconds: 9}, Point{Method: "desync-image", Line: lossy, Measured: true, Seconds: 27})
	found := map[string]Standing{}
	for _, s := range r.Standings() {
		if len(s.Peers) != 3 || s.Best == "" {
			t.Errorf("%+v", s)
		}
		found[s.Measure] = s
	}
	if s := found["time, LTE: 10 Mbit/s, 50 ms, 1 % lost, run for real"]; !slices.Equal(s.Peers, []string{"not run", "27.0 s", "not run"}) || s.Verdict() != "3 × less than desync" {
		t.Errorf("%+v", s)
	}
	if s, real := found["time, LTE: 10 Mbit/s, 50 ms, run for real"], r.point("deltaup", Line{Rate: 10e6, RTT: curveRTT}, false, true); s.Ours != secondsName(real.Seconds) {
		t.Errorf("%+v", found)
	}
	if s := r.verdict(); !strings.Contains(s, "sends 3.20 MB") || !strings.Contains(s, "less than OSTree delta") || !strings.Contains(s, "more than desync") {
		t.Error(s)
	}
	if got := r.quickestTo(); got != 10e6 {
		t.Errorf("quickest to %s", rateName(got))
	}
}

// TestMarkdown demands that all rows of a table have the same number of columns.
func TestMarkdown(t *testing.T) {
	b, err := sampleReport().Markdown()
	if err != nil {
		t.Fatal(err)
	}
	width, tables := 0, 0
	for line := range strings.Lines(string(b)) {
		columns := strings.Count(line, "|")
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); columns == 0 && n > 100 {
			t.Errorf("%d columns of text: %s", n, line)
		}
		if columns > 0 && width == 0 {
			width = columns
			tables++
		}
		if columns != width && columns > 0 {
			t.Errorf("%d columns, want %d: %s", columns, width, line)
		}
		if columns == 0 {
			width = 0
		}
	}
	if tables != 9 || strings.Count(string(b), "<details>") != 4 || strings.Count(string(b), "</details>") != 4 {
		t.Errorf("%d tables, want 9; 4 of them folded", tables)
	}
}

// sampleReport is a report with invented figures.
func sampleReport() *Report {
	method := func(id, name, of string, mb, wall, memory float64) Result {
		return Result{
			ID: id, Name: name, Of: of, Settings: "settings", Version: "1.0", Storage: int64(mb * 1e6),
			Publish: Usage{Wall: time.Second, CPU: time.Second, Memory: 1 << 20},
			Sent:    Range{mb * 1e6, mb * 1e6, mb * 1.1e6}, Received: Range{1000, 1000, 1000}, Requests: Range{4, 4, 4},
			Wall: Range{wall, wall, wall}, CPU: Range{wall, wall, wall}, Memory: Range{memory * (1 << 20), memory * (1 << 20), memory * (1 << 20)},
			Rounds: 5, WeakWall: 4 * wall,
		}
	}
	shared := method("deltaup-bytes", "deltaup, fewest bytes", "image", 3.2, 8, 90)
	shared.Shared = "deltaup"
	r := &Report{
		Format: reportFormat, Date: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC), Took: 17 * time.Minute, Runs: 3,
		Machine: Machine{CPU: "a CPU", Cores: 2, Memory: 4 << 30, System: "a system", Kernel: "6.1", Disk: "ext4", Commit: "v1"},
		Weak:    Weak{Share: weakShare, How: "a control group"}, Server: "a server", Shaping: "a line",
		Subject: Subject{Name: "sample", Level: "better", ImageSize: [2]int64{150e6, 151e6}, TarSize: [2]int64{450e6, 451e6}},
		Methods: []Result{
			method("deltaup", "deltaup", "image", 3.2, 8, 90), shared, method("curl", "whole image", "image", 150, 0.1, 10),
			method("casync-image", "casync & co", "image", 48, 3, 12), method("zsync-image", "zsync", "image", 52, 2, 5),
			method("rsync-image", "rsync", "image", 47, 1, 7), method("zstd-image", "zstd --patch-from, image", "image", 36, 0.5, 300),
			method("zstd-tar", "zstd --patch-from, tar", "tar", 15, 0.8, 700), method("xdelta3-tar", "xdelta3, tar", "tar", 12, 1, 500),
			method("ostree", "OSTree, files", "tree", 38, 2, 30), method("ostree-offline", "OSTree, delta as a file", "tree", 9.6, 3, 70),
			method("desync-image", "desync, image", "image", 50, 0.4, 50), method("rdiff-image", "rdiff, image", "image", 60, 2, 20),
		},
		Skipped: []Skipped{{"desync, tar", "desync is not installed"}},
	}
	for _, weak := range []bool{false, true} {
		for i := range r.Methods {
			m := &r.Methods[i]
			for _, line := range reportLines() {
				seconds, download := compute(m, line, weak)
				p := Point{Method: m.ID, Line: line, Weak: weak, Seconds: seconds, Download: download}
				if m.ID == "deltaup" {
					p.Route = map[bool]string{true: "patch", false: "blocks"}[line.Rate < 20e6]
				}
				r.Points = append(r.Points, p)
				if line.Rate == 10e6 && !weak {
					r.Points = append(r.Points, Point{Method: m.ID, Line: line, Measured: true, Seconds: seconds * 0.95})
				}
			}
		}
	}
	r.Scale = &Scale{Format: reportFormat, Date: r.Date, Took: 16 * time.Minute, Machine: r.Machine, Subject: "sample", Level: "fastest"}
	for i := range int64(4) {
		u := Usage{time.Duration(3+i) * time.Second, time.Duration(3+i) * time.Second, 70 << 20}
		r.Scale.Sizes = append(r.Scale.Sizes, SizeStep{
			Image: 1e8 << (2 * i), Computed: i == 3, Mirror: 3e8 << (2 * i), Mkimage: u, Publish: u, First: u, Plan: u, Pull: u, Sent: 3e6 + i*1e5, Requests: 4,
		})
		cut := Cut{Whole: 1e8, Fetched: 5e7, Left: 5e7, Again: u}
		r.Scale.Files = append(r.Scale.Files, SizeStep{Image: 4e7 << i, Files: 1e4 << i, Changed: 17, Computed: i == 3,
			Mirror: 1e8 << i, Mkimage: u, Publish: u, First: u, Plan: u, Pull: u, Sent: 3e6, Requests: 4, Cut: cut})
		r.Scale.Changes = append(r.Scale.Changes, SizeStep{Image: 2e8, Files: 1234, Changed: 10 << (2 * i),
			Mirror: 5e8, Mkimage: u, Publish: u, First: u, Plan: u, Pull: u, Sent: 3e4 << (2 * i), Requests: 4, Cut: cut})
		r.Scale.Releases = append(r.Scale.Releases, ReleaseStep{
			Releases: 1 << (2 * i), Image: 20e6, Mirror: 5e7 << (2 * i), Publish: u,
			Next: Update{u, 2e5, 4, "patch"}, First: Update{u, 2e5 << i, 4, "patch"},
		})
	}
	return r
}
