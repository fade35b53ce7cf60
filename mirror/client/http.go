package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"deltaup/internal/plainfile"
)

// HTTP says how one server is spoken to, and as whom. What is secret is in files, which [New]
// reads. A certificate, a token and headers are sent to the mirror's own host alone, not to where
// it redirects.
type HTTP struct {
	// http://, https:// or socks5://HOST:PORT; "none"; "": what the environment says
	Proxy           string
	CAFile          string // PEM; these authorities are trusted instead of the system's
	CertificateFile string // PEM; the client's own certificate
	KeyFile         string // PEM; its key; "": it is in CertificateFile
	BearerFile      string // one line: a token
	// lines of NAME: VALUE; those that begin with # and empty ones do not count
	HeaderFile string
}

// Secret tells whether it has what only the server that it is for should see.
func (h HTTP) Secret() bool {
	return h.CertificateFile != "" || h.KeyFile != "" || h.BearerFile != "" || h.HeaderFile != ""
}

// maxSecretFile is more than a token, headers, or the certificates of all authorities have.
const maxSecretFile = 4 << 20

// credentials are what the files of an HTTP have.
type credentials struct {
	header   http.Header
	tls      *tls.Config // nil: the default
	own      *tls.Config // with the client's certificate; nil: none
	warnings []string    // files that everybody can read
}

// read reads the files. Its errors name key and file and quote nothing.
func (h HTTP) read() (c *credentials, err error) {
	c = &credentials{header: http.Header{}}
	if h.CAFile != "" {
		b, err := c.file("ca_file", h.CAFile, false)
		if err != nil {
			return nil, err
		}
		c.tls = &tls.Config{RootCAs: x509.NewCertPool()}
		if !c.tls.RootCAs.AppendCertsFromPEM(b) {
			return nil, fmt.Errorf("ca_file %s: no certificate in PEM", h.CAFile)
		}
	}
	if err := c.certificate(h); err != nil {
		return nil, err
	}
	if h.HeaderFile != "" {
		b, err := c.file("header_file", h.HeaderFile, true)
		if err != nil {
			return nil, err
		}
		if c.header, err = parseHeaders(b); err != nil {
			return nil, fmt.Errorf("header_file %s: %w", h.HeaderFile, err)
		}
	}
	if h.BearerFile != "" {
		b, err := c.file("bearer_file", h.BearerFile, true)
		if err != nil {
			return nil, err
		}
		token := string(bytes.TrimSpace(b))
		if token == "" || strings.ContainsAny(token, " \t") ||
			!validHeaderValue(token) {
			return nil, fmt.Errorf("bearer_file %s: wanted is one token, in one line", h.BearerFile)
		}
		if c.header.Get("Authorization") != "" {
			return nil, fmt.Errorf("bearer_file %s: the file of headers has an Authorization, too",
				h.BearerFile)
		}
		c.header.Set("Authorization", "Bearer "+token)
	}
	return c, nil
}

// certificate reads the client's certificate and its key.
func (c *credentials) certificate(h HTTP) error {
	if h.CertificateFile == "" {
		if h.KeyFile != "" {
			return fmt.Errorf("key_file %s: there is no certificate_file to it", h.KeyFile)
		}
		return nil
	}
	certificate, err := c.file("certificate_file", h.CertificateFile, h.KeyFile == "")
	if err != nil {
		return err
	}
	key := certificate
	if h.KeyFile != "" {
		if key, err = c.file("key_file", h.KeyFile, true); err != nil {
			return err
		}
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("certificate_file %s: %w", h.CertificateFile, err)
	}
	c.own = &tls.Config{Certificates: []tls.Certificate{pair}}
	if c.tls != nil {
		c.own.RootCAs = c.tls.RootCAs
	}
	return nil
}

// file reads a small regular file.
func (c *credentials) file(key, path string, secret bool) ([]byte, error) {
	b, err := plainfile.Read(path, maxSecretFile)
	var at *fs.PathError
	switch {
	case errors.As(err, &at) && secret && !looksLikePath(path): // it may be the secret itself
		return nil, fmt.Errorf("%s: wanted is the path of a file, not what is in it: %w", key,
			at.Err)
	case errors.As(err, &at):
		err = fmt.Errorf("%s: %w", path, at.Err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %w", key, err)
	}
	if info, err := os.Stat(path); secret && err == nil && info.Mode()&0o006 != 0 {
		c.warnings = append(c.warnings, fmt.Sprintf(
			"%s: every user can read it or write to it (mode %04o)", path, info.Mode().Perm()))
	}
	return b, nil
}

// looksLikePath tells whether a text begins as a path does, and leads into a folder that is there.
func looksLikePath(s string) bool {
	for _, start := range []string{"/", "./", "../"} {
		if strings.HasPrefix(s, start) {
			dir := filepath.Dir(s)
			info, err := os.Stat(dir)
			return dir != "/" && err == nil && info.IsDir()
		}
	}
	return false
}

// originTransport keeps to the mirror's own host what is for it alone.
type originTransport struct {
	mirror     *url.URL
	header     http.Header
	own, other *http.Transport // the first has the client's certificate
}

func (t *originTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !sameOrigin(t.mirror, r.URL) {
		return t.other.RoundTrip(r)
	}
	r = r.Clone(r.Context())
	if user := t.mirror.User; user != nil {
		password, _ := user.Password()
		r.SetBasicAuth(user.Username(), password)
	}
	for name, values := range t.header {
		r.Header[name] = values
	}
	return t.own.RoundTrip(r)
}

// CloseIdleConnections is what an [http.Client] calls by this name.
func (t *originTransport) CloseIdleConnections() {
	t.own.CloseIdleConnections()
	t.other.CloseIdleConnections()
}

// sameOrigin tells whether u is on the server of a mirror: same scheme, host and port, or the https
// beside its http.
func sameOrigin(mirror, u *url.URL) bool {
	if !strings.EqualFold(asciiName(mirror.Hostname()), asciiName(u.Hostname())) {
		return false
	}
	from, to := port(mirror), port(u)
	return mirror.Scheme == u.Scheme && from == to ||
		mirror.Scheme == "http" && u.Scheme == "https" && from == "80" && to == "443"
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

// refusedByProxy gives up at once where a proxy refuses to connect.
func refusedByProxy(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
	if resp.StatusCode >= 400 && resp.StatusCode < 500 {
		return &failure{
			kind: refusedFailure,
			err:  &denied{fmt.Errorf("the proxy: %w", statusError(resp))},
		}
	}
	return nil
}
