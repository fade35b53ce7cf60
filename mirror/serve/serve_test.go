package serve

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"deltaup/chunkstore"
	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/nginxtest"
	"deltaup/mirror"
)

// served is a folder with a file of each kind, and files that are never served.
func served(t testing.TB) (dir string, pack string, packBytes []byte) {
	t.Helper()
	dir = t.TempDir()
	packBytes = mirrortest.Noise(20, 100<<10)
	pack = mirror.PackPath(chunkstore.Sum(packBytes))
	mirrortest.WriteFile(t, filepath.Join(dir, pack), packBytes)
	mirrortest.WriteFile(t, filepath.Join(dir, mirror.ReleasePath("1")), []byte("release"))
	mirrortest.WriteFile(t, filepath.Join(dir, mirror.PointerPath("stable")), []byte("pointer"))
	mirrortest.WriteFile(t, filepath.Join(dir, mirror.LockName), nil)
	mirrortest.WriteFile(t, filepath.Join(dir, "packs/.hidden"), []byte("hidden"))
	mirrortest.WriteFile(t, filepath.Join(dir, mirror.TmpDir, "deltaup-1.tmp"), []byte("half"))
	return dir, pack, packBytes
}

// servers are the ways to serve a folder that must behave alike.
var servers = map[string]func(t testing.TB, dir string) (url string){
	"Handler": func(t testing.TB, dir string) string {
		s := httptest.NewServer(Handler(dir))
		t.Cleanup(s.Close)
		return s.URL
	},
	"nginx": nginxtest.Start,
}

func ask(t testing.TB, method, url string, header ...string) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	// The default transport would ask for compression and undo it.
	r.Header.Set("Accept-Encoding", r.Header.Get("Accept-Encoding"))
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, b
}

func TestServedFiles(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			dir, pack, packBytes := served(t)
			url := start(t, dir)
			answer, b := ask(t, "GET", url+"/"+pack, "Accept-Encoding", "gzip, zstd, br")
			if answer.StatusCode != 200 || !bytes.Equal(b, packBytes) {
				t.Errorf("the pack: %s, %d bytes", answer.Status, len(b))
			}
			for key, want := range map[string]string{
				"Cache-Control":    "public, max-age=31536000, immutable",
				"Accept-Ranges":    "bytes",
				"Content-Type":     "application/octet-stream",
				"Content-Encoding": "",
			} {
				if got := answer.Header.Get(key); got != want {
					t.Errorf("the pack's %s is %q, want %q", key, got, want)
				}
			}
			tag := answer.Header.Get("ETag")
			if tag == "" || strings.HasPrefix(tag, "W/") {
				t.Errorf("the pack's entity tag is %q", tag)
			}
			if answer, _ := ask(t, "GET", url+"/"+pack, "If-None-Match", tag); answer.StatusCode != http.StatusNotModified {
				t.Errorf("the pack by its tag: %s", answer.Status)
			}
			answer, b = ask(t, "GET", url+"/"+mirror.PointerPath("stable"))
			if answer.StatusCode != 200 || string(b) != "pointer" || answer.Header.Get("Cache-Control") != "no-cache" {
				t.Errorf("the pointer: %s, %q, %q", answer.Status, b, answer.Header)
			}
			answer, b = ask(t, "HEAD", url+"/"+mirror.ReleasePath("1"))
			if answer.StatusCode != 200 || len(b) != 0 || answer.ContentLength != 7 {
				t.Errorf("the release's head: %s, %d bytes of body, length %d", answer.Status, len(b), answer.ContentLength)
			}
		})
	}
}

func TestServedRanges(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			dir, pack, packBytes := served(t)
			url := start(t, dir)
			size := len(packBytes)
			for _, c := range []struct {
				header   string
				status   int
				from, to int
			}{
				{"bytes=0-0", 206, 0, 1},
				{"bytes=1000-99999", 206, 1000, 100000},
				{fmt.Sprintf("bytes=%d-", size-10), 206, size - 10, size},
				{fmt.Sprintf("bytes=%d-%d", size-10, size+10), 206, size - 10, size},
				{fmt.Sprintf("bytes=%d-", size), 416, 0, 0},
			} {
				answer, b := ask(t, "GET", url+"/"+pack, "Range", c.header)
				if answer.StatusCode != c.status {
					t.Errorf("%s: %s, want %d", c.header, answer.Status, c.status)
					continue
				}
				if c.status != 206 {
					continue
				}
				if !bytes.Equal(b, packBytes[c.from:c.to]) {
					t.Errorf("%s: %d bytes, not the right ones", c.header, len(b))
				}
				if got, want := answer.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, size); got != want {
					t.Errorf("%s: Content-Range is %q, want %q", c.header, got, want)
				}
			}
		})
	}
}

func TestNeverServed(t *testing.T) {
	for name, start := range servers {
		t.Run(name, func(t *testing.T) {
			dir, pack, _ := served(t)
			outside := mirrortest.WriteFile(t, filepath.Join(filepath.Dir(dir), "outside"), []byte("outside"))
			if name == "Handler" { // nginx follows links; doc/nginx.md says so
				mirrortest.LinkAll(t, dir, map[string]string{
					"link": outside, "up": "..", "lock": ".lock", "deep": "lock", "packs/lock": "../.lock", "temporary": "tmp", "self": "self",
					"hidden": "packs/.hidden", "absolute": filepath.Join(dir, ".lock"), "round": "../" + filepath.Base(dir) + "/.lock",
				})
				if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			url := start(t, dir)
			for _, path := range []string{
				"", "packs", "packs/", filepath.Dir(pack) + "/", filepath.Dir(pack),
				".lock", "packs/.hidden", "tmp", "tmp/", "tmp/deltaup-1.tmp", "tmp/../.lock",
				"../outside", "..%2foutside", "%2e%2e/outside", "packs/../../outside", "link",
				"up/outside", "lock", "deep", "packs/lock", "temporary/deltaup-1.tmp", "self", "hidden", "absolute", "round", "fifo",
				"packs%00", "none", pack + "/", pack + "/x", "%2elock", "packs/..%5c..%5coutside",
			} {
				raw := rawRequest(t, url, "GET /"+path+" HTTP/1.1")
				status, _, _ := strings.Cut(raw, "\n")
				for _, bad := range []string{"200", "206", "500"} {
					if strings.Contains(status, " "+bad+" ") {
						t.Errorf("/%s: %s", path, status)
					}
				}
				if strings.Contains(raw, "outside") || strings.Contains(raw, "hidden\n") || strings.Contains(raw, ".pack\"") {
					t.Errorf("/%s gives away %q", path, raw)
				}
			}
			for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
				if answer, _ := ask(t, method, url+"/"+pack); answer.StatusCode != http.StatusMethodNotAllowed {
					t.Errorf("%s: %s", method, answer.Status)
				}
			}
		})
	}
}

// TestServedLinks: a link within the folder is served as the file that it leads to, and so is a
// folder that is a link.
func TestServedLinks(t *testing.T) {
	dir, pack, packBytes := served(t)
	mirrortest.LinkAll(t, dir, map[string]string{"channels/beta.json": "stable.json", "releases/newest": "../" + pack, "all": "packs"})
	front := filepath.Join(t.TempDir(), "front")
	if err := os.Symlink(dir, front); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(Handler(front))
	defer s.Close()
	for path, want := range map[string]string{
		"channels/beta.json": "pointer", "releases/newest": string(packBytes), strings.Replace(pack, "packs", "all", 1): string(packBytes),
	} {
		if answer, body := ask(t, "GET", s.URL+"/"+path); answer.StatusCode != 200 || string(body) != want {
			t.Errorf("%s: %s, %d bytes", path, answer.Status, len(body))
		}
	}
}

// rawRequest sends a request line as it is, which net/http would clean up.
func rawRequest(t testing.TB, url, line string) string {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "%s\r\nHost: x\r\nConnection: close\r\n\r\n", line)
	b, err := io.ReadAll(c)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEntityTagIsTheHash(t *testing.T) {
	dir, pack, packBytes := served(t)
	s := httptest.NewServer(Handler(dir))
	defer s.Close()
	tag := `"` + chunkstore.Sum(packBytes).String() + `"`
	for _, c := range []struct {
		ifRange string
		status  int
	}{{tag, 206}, {`"other"`, 200}} {
		answer, _ := ask(t, "GET", s.URL+"/"+pack, "Range", "bytes=5-9", "If-Range", c.ifRange)
		if answer.Header.Get("ETag") != tag || answer.StatusCode != c.status {
			t.Errorf("If-Range %s: %s, tag %s", c.ifRange, answer.Status, answer.Header.Get("ETag"))
		}
	}
}

func TestServeLogsAndEnds(t *testing.T) {
	dir, pack, packBytes := served(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	var log bytes.Buffer
	ended := make(chan error, 1)
	go func() { ended <- Until(ctx, l, LogRequests(Handler(dir), &log)) }()

	ask(t, "GET", url+"/"+pack, "Range", "bytes=10-19")
	ask(t, "GET", url+"/none%0a%22x")
	// A download that is under way when serving is to end is finished.
	answer, err := http.Get(url + "/" + pack)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	cancel()
	if b, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(b, packBytes) {
		t.Errorf("the download under way: %d bytes, %v", len(b), err)
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("serving ends with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("serving does not end")
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
	var lines []string
	for s := bufio.NewScanner(&log); s.Scan(); {
		lines = append(lines, s.Text())
	}
	want := []string{
		fmt.Sprintf("GET %q %q 206 10 ", "/"+pack, "bytes=10-19"),
		`GET "/none\n\"x" - 404 `,
		fmt.Sprintf("GET %q - 200 %d ", "/"+pack, len(packBytes)),
	}
	if len(lines) != len(want) {
		t.Fatalf("the log: %q", lines)
	}
	for i := range want {
		if !strings.Contains(lines[i], want[i]) {
			t.Errorf("line %q lacks %q", lines[i], want[i])
		}
	}
}

// TestSlowClient reads slowly enough that the server waits for its socket's buffer, and
// demands that each write renews the time that it is given.
func TestSlowClient(t *testing.T) {
	dir := t.TempDir()
	body := mirrortest.Noise(21, 1<<20)
	mirrortest.WriteFile(t, filepath.Join(dir, mirror.ImagePath(chunkstore.Sum(body))), body)
	w := &deadlineWriter{header: http.Header{}}
	r := httptest.NewRequest("GET", "/"+mirror.ImagePath(chunkstore.Sum(body)), nil)
	Handler(dir).ServeHTTP(w, r)
	if w.written != int64(len(body)) {
		t.Errorf("%d of %d bytes are written", w.written, len(body))
	}
	if w.renewed < 1<<20/(32<<10) {
		t.Errorf("the deadline is renewed %d times for 1 MiB", w.renewed)
	}
}

// deadlineWriter demands a fresh deadline before each write of at most 32 KiB.
type deadlineWriter struct {
	header   http.Header
	deadline time.Time
	renewed  int
	written  int64
}

func (w *deadlineWriter) Header() http.Header { return w.header }
func (w *deadlineWriter) WriteHeader(int)     {}
func (w *deadlineWriter) SetWriteDeadline(d time.Time) error {
	w.deadline = d
	w.renewed++
	return nil
}

func (w *deadlineWriter) Write(p []byte) (int, error) {
	if len(p) > 32<<10 || time.Until(w.deadline) < stallTimeout/2 {
		return 0, os.ErrDeadlineExceeded
	}
	w.deadline = time.Time{} // used up
	w.written += int64(len(p))
	return len(p), nil
}

// TestBodyThatNeverComes: a client that announces a body and sends none is answered at once.
func TestBodyThatNeverComes(t *testing.T) {
	dir, pack, packBytes := served(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Until(ctx, l, Handler(dir)) }()
	defer func() {
		end()
		<-done
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n", pack)
	answer, err := io.ReadAll(c)
	if err != nil || !bytes.HasSuffix(answer, packBytes) {
		t.Errorf("%d bytes, %v", len(answer), err)
	}
}
