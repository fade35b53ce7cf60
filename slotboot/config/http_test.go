package config

import (
	"strings"
	"testing"
)

func TestHTTP(t *testing.T) {
	web := `
[http]
proxy = "http://proxy.example:3128"
ca_file = "/etc/deltaup/ca.pem"
bearer_file = "/etc/deltaup/token"
[http.host."other.example:8443"]
certificate_file = "/etc/deltaup/client.pem"
key_file = "/etc/deltaup/client.key"
header_file = "/etc/deltaup/headers"
`
	c, err := parse("f", []byte(strings.Replace(whole, `"/media/usb"`, `"/media/usb", "https://other.example:8443/os"`, 1)+web))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]HTTP{
		"mirror.example": {Proxy: "http://proxy.example:3128", CAFile: "/etc/deltaup/ca.pem", BearerFile: "/etc/deltaup/token"},
		"MIRROR.example": {Proxy: "http://proxy.example:3128", CAFile: "/etc/deltaup/ca.pem", BearerFile: "/etc/deltaup/token"},
		// none of the mirrors
		"mirror.example:8080": {Proxy: "http://proxy.example:3128", CAFile: "/etc/deltaup/ca.pem"},
		"other.example:8443":  {CertificateFile: "/etc/deltaup/client.pem", KeyFile: "/etc/deltaup/client.key", HeaderFile: "/etc/deltaup/headers"},
		"stranger.example":    {Proxy: "http://proxy.example:3128", CAFile: "/etc/deltaup/ca.pem"},
	} {
		if got := c.HTTPOf(host); got != want {
			t.Errorf("%s: got %+v, want %+v", host, got, want)
		}
	}
}

// TestHTTPRefused: an error names the key, and never what may be a secret in the wrong place.
func TestHTTPRefused(t *testing.T) {
	for text, want := range map[string]string{
		"[http]\nbearer = \"sec\"":                                  "http.bearer: unknown key",
		"[http]\nbearer_file = \"sec\"":                             "http.bearer_file: is no absolute path",
		"[http]\nkey_file = \"/sec\"":                               "http.key_file: there is no certificate_file",
		"[http.host.\"https://x/sec\"]":                             `http.host: "https://x/sec" is no host`,
		"[http.host.\"X.example\"]":                                 `http.host: "X.example" is no host`,
		"[http.host.\"a.example\"]\nca_file = \"sec\"":              "http.host.a.example.ca_file: is no absolute path",
		"[http.host.\"a.example\"]\nheader_file = 5":                "http.host.a.example.header_file",
		"[http.host.\"a.example\"]\nheader = \"sec\"":               "header: unknown key",
		"[http.host.\"a.example\"]\n[http.host.\"a.example\".host]": "unknown key",
	} {
		_, err := parse("f", []byte(whole+text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(strings.ReplaceAll(err.Error(), "x/sec", ""), "sec") {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	two := strings.Replace(whole, `"/media/usb"`, `"http://other.example/os"`, 1)
	if _, err := parse("f", []byte(two+"[http]\nbearer_file = \"/t\"\n")); err == nil || !strings.Contains(err.Error(), "mirror.example and other.example") {
		t.Errorf("a token for two servers: %v", err)
	}
	for _, good := range []string{"[http]\nca_file = \"/ca\"\n", "[http]\nbearer_file = \"/t\"\n[http.host.\"other.example\"]\n"} {
		if _, err := parse("f", []byte(two+good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}
