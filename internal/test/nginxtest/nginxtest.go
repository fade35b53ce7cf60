// Package nginxtest runs a real nginx with the configuration of doc/nginx.conf, for tests.
package nginxtest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// frame is the nginx configuration around doc/nginx.conf: one process in the foreground, with all
// its files below its prefix.
const frame = `
daemon off;
master_process off;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 64; }
http {
	access_log access.log;
	client_body_temp_path body;
	proxy_temp_path proxy;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	%s
}
`

// Start serves dir on a free port of the loopback until the test ends, and returns the server's
// URL. Where nginx is not installed it skips the test, or fails it when DELTAUP_TEST_ALL is set.
func Start(t testing.TB, dir string) (url string) {
	t.Helper()
	return "http://" + start(t, dir, "")
}

// StartTLS is Start over TLS. directives come beside those of doc/nginx.conf and must name a
// certificate.
func StartTLS(t testing.TB, dir, directives string) (url string) {
	t.Helper()
	return "https://" + start(t, dir, " ssl;\n"+directives)
}

// StartWithoutRanges is Start for a server that sends only whole files.
func StartWithoutRanges(t testing.TB, dir string) (url string) {
	t.Helper()
	const ranges = "max_ranges 1;"
	site := configuration(t)
	if strings.Count(site, ranges) != 1 {
		t.Fatalf("doc/nginx.conf has not exactly one %q", ranges)
	}
	return "http://" + startSite(t, dir, "", strings.Replace(site, ranges, "max_ranges 0;", 1))
}

// start starts a server. more follows the address in the listen directive.
func start(t testing.TB, dir, more string) (addr string) {
	t.Helper()
	return startSite(t, dir, more, configuration(t))
}

// startSite starts a server with a configuration of the site.
func startSite(t testing.TB, dir, more, site string) (addr string) {
	t.Helper()
	s := &server{nginx: find(t), prefix: t.TempDir(), dir: dir, more: more, site: site}
	// nginx does not take port 0, so choose a free port, and another when somebody was faster.
	var err error
	for range 3 {
		addr := freeAddress(t)
		if err = s.run(t, addr); err == nil {
			return addr
		}
	}
	t.Fatalf("nginx does not start: %v", err)
	return ""
}

func find(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("DELTAUP_TEST_ALL") != "" {
		t.Fatal("nginx is not installed")
	}
	t.Skip("nginx is not installed")
	return ""
}

// configuration reads doc/nginx.conf of the module that the test belongs to.
func configuration(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, "doc", "nginx.conf"))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	t.Fatal("no go.mod above the test")
	return ""
}

// server is what an nginx is started with.
type server struct {
	nginx  string // its path
	prefix string // the folder of its own files
	dir    string // that it serves
	more   string // follows the address in the listen directive; "": nothing does
	site   string // the site's configuration, as doc/nginx.conf has it
}

// run starts nginx on an address and waits until it answers.
func (s *server) run(t testing.TB, addr string) error {
	site, more := s.site, s.more
	if more == "" {
		more = ";"
	}
	for _, change := range [][2]string{
		{"listen 80;", "listen " + addr + more},
		{"root /srv/deltaup;", "root " + s.dir + ";"},
	} {
		if strings.Count(site, change[0]) != 1 {
			t.Fatalf("doc/nginx.conf has not exactly one %q", change[0])
		}
		site = strings.Replace(site, change[0], change[1], 1)
	}
	config := filepath.Join(s.prefix, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, frame, site), 0o644); err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	log := filepath.Join(s.prefix, "error.log")
	cmd := exec.Command(s.nginx, "-p", s.prefix, "-c", config, "-e", log)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-ended
		}
	}
	client := &http.Client{
		Transport: &http.Transport{DisableKeepAlives: true},
		Timeout:   time.Second,
	}
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		select {
		case err := <-ended:
			return fmt.Errorf("it ended before it answered (%v): %s", err, output.String())
		default:
		}
		if answer, err := client.Head("http://" + addr + "/"); err == nil {
			answer.Body.Close()
			t.Cleanup(stop)
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	stop()
	return fmt.Errorf("no answer on %s: %s", addr, output.String())
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
