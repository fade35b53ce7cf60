package layers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"deltaup/internal/test/debtest"
	"deltaup/internal/test/oracle"
	"deltaup/mkimage/layers"
	"deltaup/mkimage/tree"
)

// certificate makes a certificate whose subject has the values of names, each as a kind of string.
func certificate(t testing.TB, tag int, names ...string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var subject pkix.RDNSequence
	for i, n := range names {
		value := asn1.RawValue{Tag: tag, Bytes: []byte(n)}
		oid := asn1.ObjectIdentifier{2, 5, 4, []int{3, 10, 11}[i%3]}
		subject = append(subject, pkix.RelativeDistinguishedNameSET{{Type: oid, Value: value}})
	}
	raw, err := asn1.Marshal(subject)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), RawSubject: raw, NotAfter: time.Unix(4_000_000_000, 0),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// TestCertificates compares the links by hash with those of openssl rehash.
func TestCertificates(t *testing.T) {
	oracle.Need(t, "openssl")
	p := debtest.Package{Name: "ca-certificates"}
	for i, text := range []string{
		certificate(t, asn1.TagUTF8String, "Größte  Ünït CA", "Org"),
		certificate(t, asn1.TagPrintableString, " Leading and  inner\tspace ", "ORG, Inc."),
		certificate(t, asn1.TagT61String, "Latin \xe9"),
		certificate(t, asn1.TagUTF8String, "one"),
		certificate(t, asn1.TagUTF8String, "ONE"), // the same hash as that before
	} {
		p.Files = append(p.Files, debtest.File{Name: fmt.Sprintf("usr/share/ca-certificates/t/A (%d), x.crt", i), Content: strings.TrimSuffix(text, "\n")})
	}
	p.Files = append(p.Files, debtest.File{Name: "usr/local/share/ca-certificates/local.crt", Content: certificate(t, asn1.TagUTF8String, "local")})
	w := newWorld(t, p)
	made, err := w.compose(debian)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	dir := filepath.Join(t.TempDir(), "root")
	if err := writeTree(dir, made); err != nil {
		t.Fatal(err)
	}
	certs := filepath.Join(dir, "etc/ssl/certs")
	links := func() string {
		t.Helper()
		var list []string
		names, err := filepath.Glob(filepath.Join(certs, "????????.?"))
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			target, err := os.Readlink(n)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, filepath.Base(n)+" "+target)
		}
		return strings.Join(list, "\n")
	}
	ours := links()
	if b, err := exec.Command("openssl", "rehash", certs).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	if theirs := links(); ours != theirs || strings.Count(ours, "\n") != 5 {
		t.Errorf("links:\n%s\nwant:\n%s", ours, theirs)
	}
	bundle, err := os.ReadFile(filepath.Join(certs, "ca-certificates.crt"))
	if err != nil || strings.Count(string(bundle), "-----END CERTIFICATE-----\n") != 6 {
		t.Errorf("the bundle has %d bytes, %v", len(bundle), err)
	}
}

// writeTree writes a tree without owners, and makes absolute links to the tree's files lead there.
func writeTree(dir string, t tree.Tree) error {
	for i, e := range t.Entries() {
		name := filepath.Join(dir, e.Path)
		switch e.Type {
		case tree.Directory:
			if err := os.MkdirAll(name, 0o755); err != nil {
				return err
			}
		case tree.Symlink:
			target := e.Target
			if filepath.IsAbs(target) {
				target = dir + target
			}
			if err := os.Symlink(target, name); err != nil {
				return err
			}
		case tree.Regular:
			r, err := t.Open(i)
			if err != nil {
				return err
			}
			f, err := os.Create(name)
			if err != nil {
				return err
			}
			if _, err := f.ReadFrom(r); err != nil {
				return err
			}
			if err := f.Close(); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestSystemctl compares the links of enabled units with those of the real systemctl.
func TestSystemctl(t *testing.T) {
	oracle.Need(t, "systemctl")
	unit := func(name, install string) debtest.File {
		return debtest.File{Name: "usr/lib/systemd/system/" + name, Content: "[Unit]\nDescription=x\n[Service]\nExecStart=/bin/true\n[Install]\n" + install}
	}
	w := newWorld(t, debtest.Package{Name: "units", Files: []debtest.File{
		unit("a.service", "WantedBy=multi-user.target graphical.target\nAlias=b.service\nAlso=c.service\n"),
		unit("c.service", "RequiredBy=x.service\n"),
		unit("getty@.service", "WantedBy=getty.target\nDefaultInstance=tty1\n"),
		unit("net@.service", "WantedBy=multi-user.target\n"),
	}})
	units := []string{"a.service", "getty@.service", "net@eth0.service"}
	made, err := w.compose(debian + "[[package]]\nname = \"units\"\nenable = [\"" + strings.Join(units, `", "`) + "\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	bare, err := w.compose(debian)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	dir := filepath.Join(t.TempDir(), "root")
	if err := writeTree(dir, bare); err != nil {
		t.Fatal(err)
	}
	if b, err := exec.Command("systemctl", append([]string{"--root", dir, "enable"}, units...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	want := map[string]string{}
	err = filepath.Walk(filepath.Join(dir, "etc/systemd/system"), func(name string, info os.FileInfo, err error) error {
		if err != nil || info.Mode()&os.ModeSymlink == 0 {
			return err
		}
		target, err := os.Readlink(name)
		want[strings.TrimPrefix(name, dir+"/")] = strings.TrimPrefix(target, dir)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range made.Entries() {
		if e.Type == tree.Symlink && strings.HasPrefix(e.Path, "etc/systemd/system/") {
			got[e.Path] = e.Target
		}
	}
	// systemctl's folder of units may be spelled lib or usr/lib, as this machine's has it
	for path, target := range want {
		if strings.TrimPrefix(got[path], "/usr") != strings.TrimPrefix(target, "/usr") {
			t.Errorf("/%s -> %q, systemctl makes %q", path, got[path], target)
		}
	}
	if len(got) != len(want) || len(want) < 6 {
		t.Errorf("%d links %v, systemctl makes %d %v", len(got), got, len(want), want)
	}
}

// TestPam fills a template as pam-auth-update does; the texts are those of Debian 12.
func TestPam(t *testing.T) {
	template := func(module string) string {
		return "# head\n# here are the per-package modules (the \"Primary\" block)\n$" + module + "_primary\n" +
			"# here's the fallback if no module succeeds\n" + module + "\trequisite\t\t\tpam_deny.so\n" +
			"# and here are more per-package modules (the \"Additional\" block)\n$" + module + "_additional\n# end of pam-auth-update config\n"
	}
	files := []debtest.File{
		{Name: "usr/share/pam-configs/unix", Content: "Name: Unix authentication\nDefault: yes\nPriority: 256\nAuth-Type: Primary\nAuth:\n\t[success=end default=ignore]\tpam_unix.so nullok try_first_pass\nAuth-Initial:\n\t[success=end default=ignore]\tpam_unix.so nullok\nSession-Type: Additional\nSession:\n\trequired\tpam_unix.so\n"},
		{Name: "usr/share/pam-configs/ldap", Content: "Name: LDAP\nDefault: yes\nPriority: 128\nAuth-Type: Primary\nAuth:\n\t[success=end default=ignore]\tpam_ldap.so use_first_pass\n"},
		{Name: "usr/share/pam-configs/mkhomedir", Content: "Name: Create home\nDefault: no\nPriority: 0\nSession-Type: Additional\nSession-Interactive-Only: yes\nSession:\n\toptional\tpam_mkhomedir.so\n"},
		{Name: "usr/share/pam-configs/ask", Content: "Name: Ask\nDefault: yes\nPriority: 1\nSession-Type: Additional\nSession-Interactive-Only: yes\nSession:\n\toptional\tpam_ask.so\n"},
	}
	for file, module := range map[string]string{"auth": "auth", "session": "session", "session-noninteractive": "session"} {
		files = append(files, debtest.File{Name: "usr/share/pam/common-" + file, Content: template(module)})
	}
	got := newWorld(t, debtest.Package{Name: "libpam-runtime", Files: files}).composed(debian)
	begin := "0644 0:0 # head\n# here are the per-package modules (the \"Primary\" block)\n"
	wantPaths(t, got, map[string]string{
		"etc/pam.d/common-auth": begin + "auth\t[success=2 default=ignore]\tpam_unix.so nullok\nauth\t[success=1 default=ignore]\tpam_ldap.so use_first_pass\n" +
			"# here's the fallback if no module succeeds\nauth\trequisite\t\t\tpam_deny.so\n# and here are more per-package modules (the \"Additional\" block)\n# end of pam-auth-update config\n",
		"etc/pam.d/common-session": begin + "session\t[default=1]\t\t\tpam_permit.so\n# here's the fallback if no module succeeds\nsession\trequisite\t\t\tpam_deny.so\n" +
			"# and here are more per-package modules (the \"Additional\" block)\nsession\trequired\tpam_unix.so \nsession\toptional\tpam_ask.so \n# end of pam-auth-update config\n",
		"etc/pam.d/common-session-noninteractive": begin + "session\t[default=1]\t\t\tpam_permit.so\n# here's the fallback if no module succeeds\nsession\trequisite\t\t\tpam_deny.so\n" +
			"# and here are more per-package modules (the \"Additional\" block)\nsession\trequired\tpam_unix.so \n# end of pam-auth-update config\n",
		"etc/pam.d/common-password": "",
	})
}

// TestWriteFolder writes a tree into a folder and reads it again.
func TestWriteFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("owners need root")
	}
	w := newWorld(t, base, debtest.Package{Name: "p", Files: []debtest.File{
		{Name: "usr/bin/su", Content: "su", Mode: 0o4755}, {Name: "usr/bin/sg", Hard: "usr/bin/su"}, {Name: "usr/l", Link: "/nosuch"},
		{Name: "home/x/", UID: 7, Mode: 0o700},
	}})
	made, err := w.compose(debian)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	dir := filepath.Join(t.TempDir(), "root")
	if err := layers.WriteFolder(t.Context(), dir, made); err != nil {
		t.Fatal(err)
	}
	back, err := newWorld(t).compose("[[layer]]\nname = \"back\"\nfolder = \"" + dir + "\"\n[rules]\nmerged-usr = false\n")
	if err != nil {
		t.Fatal(err)
	}
	defer back.Close()
	list, err := layers.Compare(back, made)
	if err != nil || len(list) > 0 {
		t.Errorf("differences %+v, %v", list, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	again := dir + "-again"
	if err := layers.WriteFolder(ctx, again, made); err == nil {
		t.Error("written though it was cancelled")
	}
	if _, err := os.Stat(again); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if err := layers.WriteFolder(t.Context(), dir, made); !errors.Is(err, os.ErrExist) {
		t.Errorf("a folder that is there: %v", err)
	}
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
	for i, e := range back.Entries() {
		if m := made.Entries()[i]; e.ModTime != m.ModTime {
			t.Errorf("/%s has the time %d, want %d", e.Path, e.ModTime, m.ModTime)
		}
	}
}

// TestMade counts what hooks have made of the same layers.
func TestMade(t *testing.T) {
	w := newWorld(t, base)
	compose := func(files string) tree.Tree {
		t.Helper()
		made, err := w.compose(debian + "file = [" + files + "]\n")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { made.Close() })
		return made
	}
	const same = `{ path = "/etc/same", text = "x" }, `
	bare := compose("")
	ours := compose(same + `{ path = "/etc/changed", text = "x" }, { path = "/etc/ours", text = "x" }`)
	theirs := compose(same + `{ path = "/etc/changed", text = "y" }, { path = "/etc/theirs", text = "x" },
  { path = "/var/log/x.log", text = "x" }, { path = "/etc/passwd-", text = "x" }`)
	// /etc/same, /etc/changed, /etc/theirs, and the folders above the log
	wanted, alike, err := layers.Made(bare, ours, theirs)
	if wanted != 5 || alike != 1 || err != nil {
		t.Errorf("%d wanted, %d alike, %v", wanted, alike, err)
	}
}
