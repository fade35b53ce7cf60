package config

import (
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"deltaup/internal/chars"
)

// HTTP says how a server is spoken to, and as whom. Paths are those of the machine.
type HTTP struct {
	// Proxy is http://, https:// or socks5://HOST:PORT; none; "": what the environment says.
	Proxy           string `toml:"proxy"`
	CAFile          string `toml:"ca_file"`          // authorities instead of the system's, PEM
	CertificateFile string `toml:"certificate_file"` // the client's certificate, PEM
	KeyFile         string `toml:"key_file"`         // its key; "": it is in the same file
	BearerFile      string `toml:"bearer_file"`      // a token, in one line
	HeaderFile      string `toml:"header_file"`      // lines of NAME: VALUE
}

// Web is [http]: how servers are spoken to. A server with a table of its own takes that as a whole.
type Web struct {
	HTTP
	Host map[string]HTTP `toml:"host"` // by host, and port where a mirror's URL names one
}

// isHost tells whether s is what a URL may have as host and port.
func isHost(s string) bool {
	name, rest := chars.Cut(s, chars.Lower+chars.Digits+"._-")
	if literal, ok := strings.CutPrefix(s, "["); ok { // IPv6
		if name, rest, ok = strings.Cut(literal, "]"); !ok || !chars.Only(name, chars.Digits+"abcdef:.") {
			return false
		}
	}
	port, ok := strings.CutPrefix(rest, ":")
	return name != "" && (rest == "" || ok && len(port) <= 5 && chars.Some(port, chars.Digits))
}

// secret tells whether it has something that no other server may see.
func (h *HTTP) secret() bool {
	return h.CertificateFile != "" || h.KeyFile != "" || h.BearerFile != "" || h.HeaderFile != ""
}

// HTTPOf gives what counts for a server. The secrets of [http] are for the servers of mirrors
// alone: another one that the command line names does not get them.
func (c *Config) HTTPOf(host string) HTTP {
	host = strings.ToLower(host)
	if h, ok := c.HTTP.Host[host]; ok {
		return h
	}
	h := c.HTTP.HTTP
	if !slices.Contains(Hosts(c.Mirrors), host) {
		h.CertificateFile, h.KeyFile, h.BearerFile, h.HeaderFile = "", "", "", ""
	}
	return h
}

// Hosts are the servers of mirrors, each once, with the ports that their URLs name.
func Hosts(mirrors []string) (hosts []string) {
	for _, m := range mirrors {
		u, err := url.Parse(m)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		if host := strings.ToLower(u.Host); !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}

// checkHTTP looks at [http]. Its errors quote no value but paths and hosts.
func (c *Config) checkHTTP(bad func(key, format string, args ...any) error) error {
	if err := c.HTTP.check("http", bad); err != nil {
		return err
	}
	for host, h := range c.HTTP.Host {
		if !isHost(host) {
			return bad("http.host", "%.100q is no host, or host and port, in lower case", host)
		}
		if err := h.check("http.host."+host, bad); err != nil {
			return err
		}
	}
	rest := slices.DeleteFunc(Hosts(c.Mirrors),
		func(host string) bool { _, own := c.HTTP.Host[host]; return own })
	if c.HTTP.secret() && len(rest) > 1 {
		return bad(
			"http",
			"its certificate, token or headers would go to several servers, %s: each needs a table [http.host.\"NAME\"]",
			strings.Join(rest, " and "),
		)
	}
	return nil
}

func (h *HTTP) check(table string, bad func(key, format string, args ...any) error) error {
	for _, f := range []struct{ key, path string }{
		{"ca_file", h.CAFile},
		{"certificate_file", h.CertificateFile},
		{"key_file", h.KeyFile},
		{"bearer_file", h.BearerFile},
		{"header_file", h.HeaderFile},
	} {
		if f.path != "" && !filepath.IsAbs(f.path) {
			return bad(table+"."+f.key, "is no absolute path") // and perhaps the secret itself
		}
	}
	if h.KeyFile != "" && h.CertificateFile == "" {
		return bad(table+".key_file", "there is no certificate_file to it")
	}
	return nil
}
