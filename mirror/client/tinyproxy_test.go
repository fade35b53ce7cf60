package client

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/mirror/serve"
)

// ownAddress is an address of this machine that a proxy is used for: not the loopback.
func ownAddress(t *testing.T) string {
	t.Helper()
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if n, ok := a.(*net.IPNet); ok && n.IP.To4() != nil && !n.IP.IsLoopback() {
			return n.IP.String()
		}
	}
	t.Skip("this machine has no address but the loopback")
	return ""
}

// tinyproxy starts a real proxy that asks for a password, and gives its address and log.
func tinyproxy(t *testing.T) (addr, log string) {
	t.Helper()
	program, err := exec.LookPath("tinyproxy")
	if err != nil {
		if os.Getenv("DELTAUP_TEST_ALL") != "" {
			t.Fatal("tinyproxy is not installed")
		}
		t.Skip("tinyproxy is not installed")
	}
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr = l.Addr().String()
	l.Close() // tinyproxy can't take port 0
	log = filepath.Join(dir, "log")
	config := fmt.Sprintf("Port %s\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nAllow 127.0.0.1\nBasicAuth me secret\nLogFile \"%s\"\nLogLevel Connect\n",
		addr[strings.LastIndexByte(addr, ':')+1:], log)
	file := filepath.Join(dir, "tinyproxy.conf")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-d", "-c", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	for range 500 {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return addr, log
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("tinyproxy does not answer")
	return "", ""
}

// TestTinyproxy reads through a real proxy, in the clear and through a tunnel.
func TestTinyproxy(t *testing.T) {
	s := newShelf(t)
	ip := ownAddress(t)
	addr, log := tinyproxy(t)
	for _, name := range []string{"NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy"} {
		t.Setenv(name, "")
	}
	l, err := net.Listen("tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	plain := &httptest.Server{Listener: l, Config: &http.Server{Handler: serve.Handler(s.dir)}}
	plain.Start()
	defer plain.Close()
	if l, err = net.Listen("tcp", ip+":0"); err != nil {
		t.Fatal(err)
	}
	secure := &httptest.Server{Listener: l, Config: &http.Server{Handler: serve.Handler(s.dir)}}
	secure.StartTLS()
	defer secure.Close()
	for _, mirror := range []string{plain.URL, secure.URL} {
		for _, way := range []string{"configured", "ALL_PROXY"} {
			h := HTTP{Proxy: "http://me:secret@" + addr}
			if way == "ALL_PROXY" {
				t.Setenv("ALL_PROXY", h.Proxy)
				h.Proxy = ""
			}
			c := testClient(t, with(h), mirror)
			pool := c.sites[0].source.(*webSource).client.Transport.(*originTransport).own
			pool.TLSClientConfig = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			pool.TLSClientConfig.ServerName = "example.com" // the test certificate's
			got, err := readRange(t.Context(), c, s.name, 10, 20)
			if err != nil || !bytes.Equal(got, s.pack[10:30]) {
				t.Errorf("%s, %s: %x, %v", mirror, way, got, err)
			}
		}
		_, err := readRange(t.Context(), testClient(t, with(HTTP{Proxy: "http://me:wrong@" + addr}), mirror), s.name, 0, 1)
		wantSentinel(t, err, ErrUnreachable, mirror)
		wantSentinel(t, err, ErrDenied, "4") // 401 or 407
		if strings.Contains(err.Error(), "wrong") {
			t.Errorf("%v tells the password", err)
		}
	}
	b, err := os.ReadFile(log)
	if err != nil || !bytes.Contains(b, []byte("CONNECT "+ip)) || !bytes.Contains(b, []byte("GET http://"+ip)) {
		t.Errorf("the proxy's log has %s, %v", b, err)
	}
}
