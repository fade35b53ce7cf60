package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"deltaup/internal/test/nginxtest"
	"deltaup/mirror/serve"
)

// secretFile makes a file that nobody else can read.
func secretFile(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// with gives every server the same settings.
func with(h HTTP) Options {
	o := quick()
	o.Retries = -1
	o.HTTP = func(string) HTTP { return h }
	return o
}

// TestSecretsStayAtHome: what is for a mirror goes to its own host and port alone, wherever it
// redirects, and no request says from where.
func TestSecretsStayAtHome(t *testing.T) {
	s := newShelf(t)
	var mu sync.Mutex
	seen := map[string]http.Header{}
	record := func(who string, next http.Handler) *httptest.Server {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			seen[who] = r.Header.Clone()
			mu.Unlock()
			next.ServeHTTP(w, r)
		}))
		t.Cleanup(srv.Close)
		return srv
	}
	store := record("store", serve.Handler(s.dir))
	home := record("home", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
		if path, ok := strings.CutPrefix(r.URL.Path, "/os"); ok {
			http.Redirect(w, r, "/again"+path, http.StatusFound)
			return
		}
		http.Redirect(w, r, store.URL+strings.TrimPrefix(r.URL.Path, "/again"), http.StatusFound)
	}))
	for _, h := range []HTTP{
		{BearerFile: secretFile(t, "secret\n"), HeaderFile: secretFile(t, "# for the store\n\nX-Token: secret\nCookie: a=secret\n")},
		{HeaderFile: secretFile(t, "X-Token: secret\nAuthorization: Basic secret")},
		{},
	} {
		clear(seen)
		c := testClient(t, with(h), strings.Replace(home.URL, "http://", "http://me:secret@", 1)+"/os?token=secret")
		if got, err := readRange(t.Context(), c, s.name, 10, 20); err != nil || !bytes.Equal(got, s.pack[10:30]) {
			t.Fatalf("%x, %v", got, err)
		}
		if all := fmt.Sprint(seen["store"]); strings.Contains(all, "secret") || strings.Contains(all, "Referer") || strings.Contains(all, "Authorization") {
			t.Errorf("the other server got %v", seen["store"])
		}
		if seen["home"].Get("Referer") != "" {
			t.Errorf("the mirror got %v", seen["home"])
		}
		for name, want := range map[string]bool{"Authorization": true, "X-Token": h.HeaderFile != ""} {
			if (seen["home"].Get(name) != "") != want {
				t.Errorf("the mirror got %v, want %s: %v", seen["home"], name, want)
			}
		}
		if h.BearerFile != "" && seen["home"].Get("Authorization") != "Bearer secret" {
			t.Errorf("the mirror got %v", seen["home"])
		}
	}
}

// TestSecretFiles: what is wrong with a file is told with its key and path, and nothing of what it
// holds.
func TestSecretFiles(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, h := range map[string]HTTP{
		"ca_file ":                            {CAFile: secretFile(t, "secret")},
		"bearer_file ":                        {BearerFile: secretFile(t, "secret secret")},
		"one line":                            {BearerFile: secretFile(t, "secret\nsecret")},
		"bearer_file " + fifo + ": is a pipe": {BearerFile: fifo},
		"no such file":                        {BearerFile: filepath.Join(t.TempDir(), "file")},
		"bearer_file: wanted is the path":     {BearerFile: "secrettoken.c2Vj+cmV0/dG9r=="},
		"header_file: wanted is the path":     {HeaderFile: "Authorization: Bearer sec/ret"},
		"key_file: wanted is the path":        {CertificateFile: secretFile(t, ""), KeyFile: "/" + strings.Repeat("secret", 999)},
		"line 2: wanted":                      {HeaderFile: secretFile(t, "X-A: b\nsecret")},
		"line 1: Range":                       {HeaderFile: secretFile(t, "range: secret")},
		"line 1: wanted":                      {HeaderFile: secretFile(t, "X-A: secret\x00")},
		"has an Auth":                         {HeaderFile: secretFile(t, "authorization: secret"), BearerFile: secretFile(t, "secret")},
		"certificate_file ":                   {CertificateFile: secretFile(t, "secret")},
		"key_file ":                           {KeyFile: secretFile(t, "secret")},
		"proxy: wanted":                       {Proxy: "gopher://me:secret@host"},
		"proxy: wanted is":                    {Proxy: "http://me:sec%ret@host"},
		"more than 4194304 bytes":             {CAFile: secretFile(t, strings.Repeat("secret\n", 1<<20))},
	} {
		_, err := New([]string{"https://mirror.test"}, with(h))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(strings.ReplaceAll(err.Error(), "/secret", ""), "sec") {
			t.Errorf("%+v: %v, want %s", h, err, want)
		}
	}
	// Files that everybody reads, and a token on a line that everybody reads, are told of.
	open := secretFile(t, "secret")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	var log []string
	o := with(HTTP{BearerFile: open})
	o.Log = func(e Event) { log = append(log, e.Text) }
	testClient(t, o, "http://mirror.test")
	if len(log) != 2 || !strings.Contains(log[0], "0644") || !strings.Contains(log[1], "not encrypted") {
		t.Errorf("warnings %q", log)
	}
}

// forward is a proxy for HTTP that takes every host for one server.
func forward(t *testing.T, to http.Handler, asked *[]string) *httptest.Server {
	t.Helper()
	var mu sync.Mutex
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		*asked = append(*asked, r.URL.Host+" "+r.Header.Get("Proxy-Authorization"))
		mu.Unlock()
		if r.Method == http.MethodConnect {
			http.Error(w, "", http.StatusProxyAuthRequired)
			return
		}
		to.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

// TestProxy: which proxy a request takes, by configuration and environment.
func TestProxy(t *testing.T) {
	s := newShelf(t)
	var asked []string
	proxy := forward(t, serve.Handler(s.dir), &asked)
	address := strings.Replace(proxy.URL, "http://", "http://me:secret@", 1)
	read := func(mirror string, h HTTP) error {
		asked = nil
		o := with(h)
		o.Timeout = 5 * time.Second
		c, err := New([]string{mirror}, o)
		if err != nil {
			return err
		}
		_, err = readRange(t.Context(), c, s.name, 0, 10)
		return err
	}
	for _, tt := range []struct {
		name    string
		env     map[string]string
		proxy   string
		through bool
	}{
		{"configured", nil, address, true},
		{"without scheme", nil, strings.TrimPrefix(address, "http://"), true},
		{"HTTP_PROXY", map[string]string{"HTTP_PROXY": address}, "", true},
		{"http_proxy", map[string]string{"http_proxy": address}, "", true},
		{"ALL_PROXY", map[string]string{"ALL_PROXY": address}, "", true},
		{"all_proxy", map[string]string{"all_proxy": address}, "", true},
		{"HTTP_PROXY before ALL_PROXY", map[string]string{"HTTP_PROXY": address, "ALL_PROXY": "http://127.0.0.1:1"}, "", true},
		{"configured before the environment", map[string]string{"HTTP_PROXY": "http://127.0.0.1:1"}, address, true},
		{"none", map[string]string{"ALL_PROXY": address}, "none", false},
		{"NO_PROXY", map[string]string{"ALL_PROXY": address, "NO_PROXY": ".invalid"}, "", false},
		{"NO_PROXY and configured", map[string]string{"NO_PROXY": "mirror.invalid"}, address, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"} {
				t.Setenv(name, tt.env[name])
			}
			err := read("http://mirror.invalid", HTTP{Proxy: tt.proxy})
			if (err == nil) != tt.through || tt.through != (len(asked) == 1 && strings.HasPrefix(asked[0], "mirror.invalid Basic ")) {
				t.Errorf("%v; the proxy was asked for %q", err, asked)
			}
		})
	}
	// A proxy that refuses is not asked again, and its password is in no message.
	c := testClient(t, with(HTTP{Proxy: address}), "https://mirror.invalid")
	_, err := readRange(t.Context(), c, s.name, 0, 1)
	wantSentinel(t, err, ErrDenied, "407 Proxy Authentication Required")
	if strings.Contains(err.Error(), "secret") || c.Stats().Requests != 1 {
		t.Errorf("%v, %+v", err, c.Stats())
	}
	t.Setenv("ALL_PROXY", "gopher://me:secret@host")
	t.Setenv("HTTP_PROXY", "")
	t.Setenv("http_proxy", "")
	if err := read("http://mirror.invalid", HTTP{}); err == nil || !strings.Contains(err.Error(), "ALL_PROXY of the environment") || strings.Contains(err.Error(), "secret") {
		t.Errorf("a wrong ALL_PROXY: %v", err)
	}
}

// authority makes certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate and key, signed by a or by itself, and gives their files.
func (a *authority) issue(name string) (made *authority, cert, key string) {
	a.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		DNSNames: []string{"mirror.invalid"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		template.IsCA, template.KeyUsage, template.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
		parent, signer = template, private
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &private.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	made = &authority{t: a.t, key: private}
	if made.cert, err = x509.ParseCertificate(der); err != nil {
		a.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	cert = secretFile(a.t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	key = secretFile(a.t, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})))
	return made, cert, key
}

// TestClientCertificate has an nginx that demands one.
func TestClientCertificate(t *testing.T) {
	s := newShelf(t)
	ca, caFile, _ := (&authority{t: t}).issue("authority")
	_, serverCert, serverKey := ca.issue("server")
	_, cert, key := ca.issue("client")
	_, strangerCert, strangerKey := (&authority{t: t}).issue("stranger")
	url := nginxtest.StartTLS(t, s.dir, fmt.Sprintf("ssl_certificate %s;\nssl_certificate_key %s;\nssl_client_certificate %s;\nssl_verify_client on;\n", serverCert, serverKey, caFile))
	both, err := os.ReadFile(cert)
	if err != nil {
		t.Fatal(err)
	}
	more, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		h  HTTP
		is error
	}{
		"certificate and key": {HTTP{CAFile: caFile, CertificateFile: cert, KeyFile: key}, nil},
		"both in one file":    {HTTP{CAFile: caFile, CertificateFile: secretFile(t, string(both)+string(more))}, nil},
		"none":                {HTTP{CAFile: caFile}, ErrDenied},
		"a stranger's":        {HTTP{CAFile: caFile, CertificateFile: strangerCert, KeyFile: strangerKey}, ErrDenied},
		"no authority":        {HTTP{CertificateFile: cert, KeyFile: key}, ErrUnreachable},
	} {
		c := testClient(t, with(tt.h), url)
		got, err := readRange(t.Context(), c, s.name, 10, 20)
		if tt.is == nil {
			if err != nil || !bytes.Equal(got, s.pack[10:30]) {
				t.Errorf("%s: %x, %v", name, got, err)
			}
			continue
		}
		t.Logf("%s: %v", name, err)
		wantSentinel(t, err, tt.is, url)
	}
}

// TestCertificateStaysAtHome: a server that a mirror redirects to may ask for the certificate, and
// gets none.
func TestCertificateStaysAtHome(t *testing.T) {
	s := newShelf(t)
	ca, caFile, _ := (&authority{t: t}).issue("authority")
	_, serverCert, serverKey := ca.issue("server")
	_, cert, key := ca.issue("client")
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]int{}
	start := func(who string, next http.Handler) *httptest.Server {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			shown[who] = len(r.TLS.PeerCertificates)
			next.ServeHTTP(w, r)
		}))
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return srv
	}
	store := start("store", serve.Handler(s.dir))
	home := start("home", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, store.URL+r.URL.Path, http.StatusFound)
	}))
	c := testClient(t, with(HTTP{CAFile: caFile, CertificateFile: cert, KeyFile: key}), home.URL)
	if got, err := readRange(t.Context(), c, s.name, 10, 20); err != nil || !bytes.Equal(got, s.pack[10:30]) {
		t.Fatalf("%x, %v", got, err)
	}
	if shown["home"] != 1 || shown["store"] != 0 {
		t.Errorf("certificates shown: %v", shown)
	}
}

// TestSOCKS has a proxy that takes every name for one server.
func TestSOCKS(t *testing.T) {
	s := newShelf(t)
	srv := s.serve(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	t.Cleanup(func() { l.Close(); served.Wait() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer c.Close()
				head := make([]byte, 2)
				if _, err := io.ReadFull(c, head); err != nil {
					return
				}
				// the methods: a failure shows in what follows
				_, _ = io.CopyN(io.Discard, c, int64(head[1]))
				_, _ = c.Write([]byte{5, 0})
				request := make([]byte, 5) // version, connect, 0, a name, its length
				if _, err := io.ReadFull(c, request); err != nil || request[3] != 3 {
					return
				}
				_, _ = io.CopyN(io.Discard, c, int64(request[4])+2)
				_, _ = c.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
				to, err := net.Dial("tcp", strings.TrimPrefix(srv.URL, "http://"))
				if err != nil {
					return
				}
				defer to.Close()
				go func() { _, _ = io.Copy(to, c); to.Close() }()
				_, _ = io.Copy(c, to)
			})
		}
	}()
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "all_proxy"} {
		t.Setenv(name, "")
	}
	t.Setenv("ALL_PROXY", "socks5://"+l.Addr().String())
	c := testClient(t, with(HTTP{}), "http://mirror.invalid")
	if got, err := readRange(t.Context(), c, s.name, 10, 20); err != nil || !bytes.Equal(got, s.pack[10:30]) {
		t.Errorf("%x, %v", got, err)
	}
	c.sites[0].source.(*webSource).client.Transport.(*originTransport).own.CloseIdleConnections()
}

// TestCertificateByAddress: the mirror is known by the name that DNS has for it, and a proxy on the
// same host by its port.
func TestCertificateByAddress(t *testing.T) {
	c := &credentials{own: &tls.Config{ServerName: "own"}, tls: &tls.Config{ServerName: "other"}}
	for _, tt := range []struct {
		mirror, addr string
		own          bool
	}{
		{"https://mirror.invalid", "mirror.invalid:443", true},
		{"https://MIRROR.invalid:8443/x", "mirror.invalid:8443", true},
		{"https://bücher.invalid", "xn--bcher-kva.invalid:443", true},
		{"https://BÜCHER.invalid", "xn--bcher-kva.invalid:443", true},
		{"https://xn--bcher-kva.invalid", "xn--bcher-kva.invalid:443", true},
		{"http://bücher.invalid", "xn--bcher-kva.invalid:443", true},
		{"https://[2001:db8::1]:8443", "[2001:db8::1]:8443", true},
		{"https://bücher.invalid", "bucher.invalid:443", false},
		{"https://bücher.invalid", "xn--bcher-kva.invalid:3128", false},
		{"https://mirror.invalid", "mirror.invalid:3128", false},
		{"http://mirror.invalid:8080", "mirror.invalid:443", false},
		{"https://mirror.invalid", "proxy.invalid:443", false},
	} {
		u, err := url.Parse(tt.mirror)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.dialed(u, tt.addr).ServerName; (got == "own") != tt.own {
			t.Errorf("%s, %s: the certificate is %s", tt.mirror, tt.addr, got)
		}
	}
}

// TestCertificateNotForProxy: a proxy that is spoken to in TLS, and asks for a certificate, gets
// none. The mirror behind it does.
func TestCertificateNotForProxy(t *testing.T) {
	s := newShelf(t)
	ca, caFile, _ := (&authority{t: t}).issue("authority")
	_, serverCert, serverKey := ca.issue("server")
	_, cert, key := ca.issue("client")
	pair, err := tls.LoadX509KeyPair(serverCert, serverKey)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	shown := map[string][]int{}
	start := func(who string, next http.Handler) *httptest.Server {
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			shown[who] = append(shown[who], len(r.TLS.PeerCertificates))
			mu.Unlock()
			next.ServeHTTP(w, r)
		}))
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert}
		srv.StartTLS()
		t.Cleanup(srv.Close)
		return srv
	}
	store := start("mirror", serve.Handler(s.dir))
	proxy := start("proxy", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			serve.Handler(s.dir).ServeHTTP(w, r)
			return
		}
		to, err := net.Dial("tcp", store.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		defer to.Close()
		from, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer from.Close()
		io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n")
		go io.Copy(to, buffered)
		io.Copy(from, to)
	}))
	for _, mirror := range []string{"http://mirror.invalid", "https://mirror.invalid"} {
		clear(shown)
		c := testClient(t, with(HTTP{CAFile: caFile, CertificateFile: cert, KeyFile: key, Proxy: proxy.URL}), mirror)
		if got, err := readRange(t.Context(), c, s.name, 10, 20); err != nil || !bytes.Equal(got, s.pack[10:30]) {
			t.Fatalf("%s: %x, %v", mirror, got, err)
		}
		c.Close()
		want := "map[proxy:[0]]"
		if strings.HasPrefix(mirror, "https") {
			want = "map[mirror:[1] proxy:[0]]"
		}
		mu.Lock()
		if fmt.Sprint(shown) != want {
			t.Errorf("%s: certificates shown: %v, want %s", mirror, shown, want)
		}
		mu.Unlock()
	}
}
