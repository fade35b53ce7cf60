package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"deltaup/device"
	"deltaup/mirror/client"
	"deltaup/slotboot/config"
)

// httpOptions are the flags that say how the servers of mirrors are spoken to.
type httpOptions struct{ client.HTTP }

func (o *httpOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(
		&o.Proxy,
		"proxy",
		"",
		"`URL` of a proxy: http://, https:// or socks5://HOST:PORT; none (default: the environment's)",
	)
	f.StringVar(&o.CAFile, "ca-file", "",
		"PEM `FILE` of the authorities that vouch for servers, instead of the system's")
	f.StringVar(&o.CertificateFile, "client-cert", "",
		"PEM `FILE` of the certificate that this machine shows to the mirror")
	f.StringVar(&o.KeyFile, "client-key", "", "PEM `FILE` of its key (default: in the same file)")
	f.StringVar(&o.BearerFile, "bearer-file", "", "`FILE` with the token that the mirror asks for")
	f.StringVar(&o.HeaderFile, "header-file", "",
		"`FILE` of headers for the mirror, as lines of NAME: VALUE")
}

// settings gives what counts for each server: what the flags say, and else what the configuration
// of d does; d may be nil.
func (o *httpOptions) settings(mirrors []string,
	d *device.Device) (func(host string) client.HTTP, error) {
	if hosts := config.Hosts(mirrors); o.Secret() && len(hosts) > 1 {
		return nil, &usageError{
			fmt.Errorf(
				"the certificate, token or headers of the flags would go to several servers, %s: see doc/config.md for a table for each",
				strings.Join(hosts, " and "),
			),
		}
	}
	return func(host string) client.HTTP {
		var h client.HTTP
		if d != nil {
			h = client.HTTP(d.Config.HTTPOf(host))
			for _, path := range []*string{
				&h.CAFile, &h.CertificateFile, &h.KeyFile, &h.BearerFile, &h.HeaderFile,
			} {
				if *path != "" {
					*path = d.Machine.Path(*path)
				}
			}
		}
		if o.CertificateFile != "" {
			h.CertificateFile, h.KeyFile = o.CertificateFile, o.KeyFile
		} else if o.KeyFile != "" {
			h.KeyFile = o.KeyFile
		}
		for _, f := range []struct{ to, from *string }{
			{&h.Proxy, &o.Proxy},
			{&h.CAFile, &o.CAFile},
			{&h.BearerFile, &o.BearerFile},
			{&h.HeaderFile, &o.HeaderFile},
		} {
			if *f.from != "" {
				*f.to = *f.from
			}
		}
		return h
	}, nil
}
