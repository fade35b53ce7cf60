package config

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// FuzzSyntax compares what tells names and values with regular expressions.
func FuzzSyntax(f *testing.F) {
	for _, s := range []string{
		"", "a", "a0_", "0a", "_a", "abcdefghijklmno", "abcdefghijklmnop", "/dev/", "/dev/sda2", "/dev/sda2:", "/dev/sda2:/", "/dev/sda2:/a/b",
		"/dev/sda2:a", "/dev/sda2:/a:/b", "LABEL=", "LABEL=x", "LABEL=x/y", "UUID=1=2:/x", "PARTLABEL=a", "PARTUUID=b", "TYPE=x", "x",
		"90d", "12h", "d", "12345d", "12m", "90dd", "deltaup.nodata", "quiet deltaup.nodata=x", "xdeltaup.nodata", "deltaup.nodatax", "deltaup.nodata  x",
		"host", "host:80", "host:", "host:123456", "a_b.c-d:1", "[::1]", "[::1]:80", "[]", "[::1", "[::1]x", "[g]", "a:b", ":80", "HOST", "a\n", "é",
	} {
		f.Add(s)
	}
	syntax := map[string]struct {
		re  *regexp.Regexp
		got func(string) bool
	}{
		"slot's name":    {regexp.MustCompile(`^[a-z][a-z0-9_]{0,14}$`), isSlotName},
		"image":          {regexp.MustCompile(`^(/dev/[A-Za-z0-9._,=/@%+-]+|(LABEL|UUID|PARTLABEL|PARTUUID)=[A-Za-z0-9._,=@%+-]+)(:/[A-Za-z0-9._,=/@%+-]+)?$`), isImage},
		"expiry":         {regexp.MustCompile(`^[0-9]{1,4}[dh]$`), isExpiry},
		"deltaup.nodata": {regexp.MustCompile(`(^| )deltaup\.nodata(=| |$)`), func(s string) bool { return slices.ContainsFunc(strings.Split(s, " "), setsNoData) }},
		"host":           {regexp.MustCompile(`^([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?$`), isHost},
	}
	f.Fuzz(func(t *testing.T, s string) {
		for name, c := range syntax {
			if got := c.got(s); got != c.re.MatchString(s) {
				t.Errorf("%q as %s: %v", s, name, got)
			}
		}
	})
}
