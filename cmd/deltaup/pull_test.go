package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/internal/test/faultserver"
	"deltaup/internal/test/nginxtest"
	"deltaup/mirror/serve"
)

// deltaup runs a command line in-process.
func deltaup(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(t.Context(), &Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &err, Getenv: os.Getenv}, args)
	return code, out.String(), err.String()
}

func mustDeltaup(t *testing.T, args ...string) string {
	t.Helper()
	code, stdout, stderr := deltaup(t, args...)
	if code != exitOK {
		t.Fatalf("deltaup %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// releases publishes two versions of a tree whose files do not compress, and returns the mirror's
// folder and the two images.
func releases(t *testing.T) (dir, v1, v2 string) {
	t.Helper()
	dir = t.TempDir()
	tree := filepath.Join(dir, "tree")
	for version := 1; version <= 2; version++ {
		for i := range 8 {
			file := filepath.Join(tree, fmt.Sprintf("lib%d", i))
			if err := os.MkdirAll(tree, 0o755); err != nil {
				t.Fatal(err)
			}
			seed := uint64(i)
			if i < 5 {
				seed += uint64(100 * version)
			}
			content := make([]byte, 300<<10)
			rnd := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
			rnd.Read(content)
			if err := os.WriteFile(file, content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		image := filepath.Join(dir, fmt.Sprintf("v%d.squashfs", version))
		mustDeltaup(t, "mkimage", "-o", image, "--level", "fastest", "--mtime", "1700000000", "--owner", "0:0", tree)
		mustDeltaup(t, "publish", "--mirror", filepath.Join(dir, "mirror"), "--version", fmt.Sprint(version), image)
	}
	return filepath.Join(dir, "mirror"), filepath.Join(dir, "v1.squashfs"), filepath.Join(dir, "v2.squashfs")
}

func sameFile(t *testing.T, a, b string) {
	t.Helper()
	x, err := os.ReadFile(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.ReadFile(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(x, y) {
		t.Fatalf("%s and %s differ", a, b)
	}
}

// TestPullKilled kills the real command at random moments, runs it again, and demands that
// no byte is asked for that lay on the disk when it started, that no block is made twice, and that
// none is lost.
func TestPullKilled(t *testing.T) {
	memory(t)
	mirrorDir, v1, v2 := releases(t)
	for _, route := range []string{"blocks", "patch", "chunks"} {
		t.Run(route, func(t *testing.T) { pullKilled(t, route, mirrorDir, v1, v2) })
	}
}

func pullKilled(t *testing.T, route, mirrorDir, v1, v2 string) {
	before, err := os.ReadFile(v1)
	if err != nil {
		t.Fatal(err)
	}
	server := faultserver.New(t, serve.Handler(mirrorDir))
	kinds := []string{"packs/", "patches/", "images/"}
	for _, kind := range kinds {
		server.Add(faultserver.Rule{Path: kind, Fault: faultserver.Slow(800 << 10)})
	}
	dir := t.TempDir()
	slot, state := filepath.Join(dir, "slot"), filepath.Join(dir, "state")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 3))
	var sent int64
	kills, made := 0, 0
	for runs := 0; ; runs++ {
		if runs == 100 {
			t.Fatal("no end")
		}
		onDisk := cached(t, state)
		if n := madeBlocks(t, state); n < made {
			t.Fatalf("%d blocks are left of %d", n, made)
		} else {
			made = n
		}
		server.Reset()
		cmd := exec.Command(self)
		cmd.Args = []string{"deltaup", "pull", server.URL, "--seed", v1, "--slot", slot, "--state", state, "--insecure", "--quiet", "--parallel", "2", "--route", route}
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Later and later, so that a slow machine gets beyond reading its seed.
		killed := time.AfterFunc(time.Duration(50+rnd.IntN(400+100*runs))*time.Millisecond, func() { cmd.Process.Kill() })
		err := cmd.Wait()
		killed.Stop()
		for _, r := range server.Log() {
			checkRange(t, r, onDisk)
		}
		for _, kind := range kinds {
			sent += server.BodyBytes(kind)
		}
		if err == nil {
			break
		}
		if !strings.Contains(err.Error(), "killed") {
			t.Fatalf("%v: %s", err, &stderr)
		}
		kills++
		if head, err := os.ReadFile(slot); err == nil && len(head) >= 4 && string(head[:4]) == "hsqs" {
			sameFile(t, slot, v2) // killed after its last write, perhaps with nothing left to be kept
			made = 0
		}
	}
	sameFile(t, slot, v2)
	if now, err := os.ReadFile(v1); err != nil || !bytes.Equal(now, before) {
		t.Errorf("the seed was changed (%v)", err)
	}
	t.Logf("%d kills, %d bytes handed to connections over all runs, %d blocks made before the last", kills, sent,
		made)
	if kills == 0 {
		t.Error("the command was never killed in time")
	}
}

// madeBlocks counts the blocks that were made, in the format of doc/pull.md, and demands that none
// is there twice.
func madeBlocks(t *testing.T, state string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "*", "made"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		const before = 8 + 32 + 4 + 1 + 16 // the records, without the codec's name
		if len(b) < before {
			continue
		}
		for b = b[before+int(b[44]):]; len(b) >= 48; {
			size := 48 + int(binary.LittleEndian.Uint32(b)&^(1<<31))
			if size > len(b) {
				break
			}
			key := string(b[4:40])
			if seen[key] {
				t.Fatal("a block was made twice")
			}
			seen[key], b = true, b[size:]
		}
	}
	return len(seen)
}

// part is a run of bytes of a pack that is on disk.
type part struct{ start, end int64 }

// cached lists the download cache by the pack's name.
func cached(t *testing.T, state string) map[string][]part {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(state, "*", "fetch", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]part{}
	for _, f := range files {
		start, err := strconv.ParseInt(filepath.Base(f), 10, 64)
		if err != nil {
			t.Fatalf("%s is no part: %v", f, err)
		}
		info, err := os.Stat(f)
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() == 0 {
			// the run was killed before the first byte; the next may plan other ranges across the
			// place
			continue
		}
		pack := filepath.Base(filepath.Dir(f))
		out[pack] = append(out[pack], part{start, start + info.Size()})
	}
	return out
}

// checkRange demands that a request for a pack, a patch set or the image asks for nothing that is
// on disk.
func checkRange(t *testing.T, r faultserver.Request, onDisk map[string][]part) {
	t.Helper()
	if kind, _, _ := strings.Cut(r.Path, "/"); kind != "packs" && kind != "patches" && kind != "images" {
		return
	}
	var first, last int64
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &first, &last); err != nil {
		t.Fatalf("%s: range %q: %v", r.Path, r.Header.Get("Range"), err)
	}
	pack := strings.TrimSuffix(filepath.Base(r.Path), filepath.Ext(r.Path))
	for _, p := range onDisk[pack] {
		if first < p.end && p.start <= last {
			t.Errorf("%s: bytes %d to %d are asked for, and %d to %d were on disk", pack[:8], first, last, p.start, p.end-1)
		}
	}
}

// TestPullNginx pulls from a real nginx with the documented configuration.
func TestPullNginx(t *testing.T) {
	memory(t)
	mirrorDir, v1, v2 := releases(t)
	url := nginxtest.Start(t, mirrorDir)
	dir := t.TempDir()
	slot := filepath.Join(dir, "slot")
	out := mustDeltaup(t, "pull", url, "--seed", v1, "--slot", slot, "--state", filepath.Join(dir, "state"), "--insecure")
	sameFile(t, slot, v2)
	if !strings.Contains(out, "by ") {
		t.Errorf("the image was not rebuilt: %s", out)
	}
}

// TestPullWholeFiles pulls from real servers without ranges: what is quoted is what comes, it is no
// more than the whole image, and the plan tells why.
func TestPullWholeFiles(t *testing.T) {
	memory(t)
	mirrorDir, v1, v2 := releases(t)
	info, err := os.Stat(v2)
	if err != nil {
		t.Fatal(err)
	}
	for name, start := range map[string]func(testing.TB, string) string{"nginx": nginxtest.StartWithoutRanges, "python": startPython} {
		t.Run(name, func(t *testing.T) {
			url, dir := start(t, mirrorDir), t.TempDir()
			slot := filepath.Join(dir, "slot")
			for i, flags := range [][]string{{"--optimize", "bytes"}, {"--bandwidth", "1G", "--rtt", "1ms"}, {}} {
				args := append([]string{url, "--seed", v1, "--state", filepath.Join(dir, fmt.Sprint("state", i)), "--insecure"}, flags...)
				if out := mustDeltaup(t, append([]string{"plan"}, args...)...); !strings.Contains(out, "the server sends whole files") {
					t.Errorf("the plan does not tell: %s", out)
				}
				out := mustDeltaup(t, append([]string{"pull", "--json", "--slot", slot}, args...)...)
				sameFile(t, slot, v2)
				var q apply.Quote
				var r apply.Result
				for line := range strings.Lines(out) {
					switch {
					case strings.HasPrefix(line, `{"event":"quote"`):
						err = json.Unmarshal([]byte(line), &q)
					case strings.HasPrefix(line, `{"event":"result"`):
						err = json.Unmarshal([]byte(line), &r)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				if r.BytesFetched == 0 || r.BytesFetched != q.Bytes+q.MetaBytes || r.BytesFetched > info.Size()*17/16 {
					t.Errorf("%v: %d bytes came, %d+%d were quoted, the image has %d", flags, r.BytesFetched, q.Bytes, q.MetaBytes, info.Size())
				}
				if err := os.Remove(slot); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// startPython serves dir with Python's http.server, which knows no ranges, until the test ends.
func startPython(t testing.TB, dir string) (url string) {
	t.Helper()
	cmd := exec.Command("python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", dir, "0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait() // it was killed
	})
	line, err := bufio.NewReader(out).ReadString('\n') // Serving HTTP on 127.0.0.1 port N (http://127.0.0.1:N/) ...
	_, rest, _ := strings.Cut(line, "(")
	url, _, ok := strings.Cut(rest, "/)")
	if err != nil || !ok {
		t.Fatalf("python3 says %q (%v)", line, err)
	}
	return url
}

// TestPullBudget checks that --max-bytes refuses before anything is fetched.
func TestPullBudget(t *testing.T) {
	memory(t)
	mirrorDir, v1, v2 := releases(t)
	server := faultserver.New(t, serve.Handler(mirrorDir))
	dir := t.TempDir()
	slot := filepath.Join(dir, "slot")
	args := []string{"pull", server.URL, "--seed", v1, "--slot", slot, "--state", filepath.Join(dir, "state"), "--insecure", "--max-bytes"}
	code, _, stderr := deltaup(t, append(args, "1M")...)
	if code != exitBudget || !strings.Contains(stderr, "more than --max-bytes permits") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if server.Requests("packs/") != 0 {
		t.Error("packs were asked for all the same")
	}
	if _, err := os.Stat(slot); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the slot was touched: %v", err)
	}
	mustDeltaup(t, append(args, "2M")...)
	sameFile(t, slot, v2)
}

func TestPullInterrupted(t *testing.T) {
	memory(t)
	mirrorDir, v1, _ := releases(t)
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var stderr bytes.Buffer
	code := run(ctx, &Env{Stdin: strings.NewReader(""), Stdout: &bytes.Buffer{}, Stderr: &stderr, Getenv: os.Getenv},
		[]string{"pull", mirrorDir, "--seed", v1, "--slot", filepath.Join(dir, "slot"), "--state", filepath.Join(dir, "state"), "--insecure"})
	if code != exitInterrupted {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}

// memory puts the test's folders into memory where it can: all is synced again and again.
func memory(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "deltaup-test")
	if err != nil {
		return
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("TMPDIR", dir)
}

func TestParseRate(t *testing.T) {
	for in, want := range map[string]float64{
		"": 0, "8": 1, "1mbit": 125e3, "1m": 125e3, "2.5gbit": 312.5e6, "64kbps": 8e3, "500kB": 500e3, "1MB/s": 1e6, "10Mbit/s": 1.25e6,
	} {
		if got, err := parseRate("--bandwidth", in); err != nil || got != want {
			t.Errorf("%q gives %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"fast", "-1mbit", "0", "1tbit", "1mb it", "1e6", "mbit"} {
		if got, err := parseRate("--bandwidth", in); err == nil {
			t.Errorf("%q gives %v", in, got)
		}
	}
}
