package modules

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"deltaup/internal/test/treetest"
)

// signed appends a signature of n bytes to a module, as the kernel's scripts/sign-file does.
func signed(module []byte, n int) []byte {
	return signedWith(module, bytes.Repeat([]byte{'s'}, n))
}

func signedWith(module, signature []byte) []byte {
	b := bytes.Join([][]byte{module, signature, {0, 0, 2, 0, 0, 0, 0, 0}}, nil)
	b = binary.BigEndian.AppendUint32(b, uint32(len(signature)))
	return append(b, "~Module signature appended~\n"...)
}

// TestUnsigned cuts the signatures of modules off that were compressed or not.
func TestUnsigned(t *testing.T) {
	root := t.TempDir()
	dir := "usr/lib/modules/" + version + "/"
	at := func(name string) string { return filepath.Join(root, dir, name) }
	treetest.Write(t, at("kernel/a.ko"), signed([]byte("plain"), 500))
	treetest.Write(t, at("kernel/b.ko.xz"), pack(t, 0, signed([]byte("packed"), 700)))
	treetest.Write(t, at("kernel/none.ko"), []byte("none"))
	treetest.Write(t, at("kernel/text.ko"), []byte("~Module signature appended~\n"))
	treetest.Write(t, at("kernel/empty.ko"), signed(nil, 0))
	hardLink(t, at("kernel/a.ko"), at("updates/a.ko"))
	treetest.Write(t, at("kernel/kept.ko"), signed([]byte("kept"), 30))
	hardLink(t, at("kernel/kept.ko"), filepath.Join(root, "copy"))
	treetest.Write(t, filepath.Join(root, "srv/a.ko"), signed([]byte("elsewhere"), 9))
	treetest.Write(t, filepath.Join(root, "boot/config-"+version),
		[]byte("CONFIG_MODULE_SIG=y\nCONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y\n"))

	plain, err := Plain(t.Context(), treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Unsigned(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	have := contents(t, got)
	for path, is := range map[string]string{
		dir + "kernel/a.ko":     "file plain",
		dir + "updates/a.ko":    "hard link to " + dir + "kernel/a.ko",
		dir + "kernel/b.ko":     "file packed",
		dir + "kernel/none.ko":  "file none",
		dir + "kernel/text.ko":  "file ~Module signature appended~\n",
		dir + "kernel/empty.ko": "file ",
		dir + "kernel/kept.ko":  "hard link to copy",
		"copy":                  "file " + string(signed([]byte("kept"), 30)),
		"srv/a.ko":              "file " + string(signed([]byte("elsewhere"), 9)),
	} {
		if have["/"+path] != is {
			t.Errorf("/%s is %q, want %q", path, have["/"+path], is)
		}
	}
	for i, e := range got.Entries() {
		if e.Path == dir+"updates/a.ko" && e.Size != int64(len("plain")) {
			t.Errorf("entry %d, a hard link, has %d bytes", i, e.Size)
		}
	}
	w := strings.Join(got.Warnings(), "\n")
	if len(got.Warnings()) != 2 || !strings.Contains(w, "kept.ko keeps its signature") ||
		!strings.Contains(w, "Secure Boot: CONFIG_LOCK_DOWN") {
		t.Errorf("warnings %q", w)
	}
}

// TestSignaturesNeeded names what stands against cutting signatures off.
func TestSignaturesNeeded(t *testing.T) {
	dir := "lib/modules/" + version + "/"
	module := string(signed([]byte("module"), 64))
	long := strings.Replace(module, "\x00\x00\x00\x40~", "\x7f\x00\x00\x40~", 1)
	for name, files := range map[string]map[string]string{
		"/" + dir + "a.ko: its signature claims": {dir + "a.ko": long},
		"SIG_FORCE=y in /boot/config-6.1": {
			dir + "a.ko": module, "boot/config-6.1": "# a\nCONFIG_MODULE_SIG_FORCE=y\n",
		},
		"SIG_FORCE=y in /" + dir + "config": {
			dir + "a.ko": module, dir + "config": "CONFIG_MODULE_SIG_FORCE=y\n",
		},
	} {
		root := t.TempDir()
		for file, b := range files {
			treetest.Write(t, filepath.Join(root, file), []byte(b))
		}
		_, err := Unsigned(t.Context(), treetest.Open(t, root))
		if !errors.Is(err, ErrModule) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLikeModinfo asks kmod about a module with a signature and without.
func TestLikeModinfo(t *testing.T) {
	modinfo, openssl := tool(t, "modinfo"), tool(t, "openssl")
	root := t.TempDir()
	at := filepath.Join(root, "lib/modules", version, "a.ko")
	plain := module([]string{"one"}, nil, "pci:v*")
	treetest.Write(t, at, plain)
	key, cert := filepath.Join(t.TempDir(), "key"), filepath.Join(t.TempDir(), "cert")
	run(t, openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
		"-nodes", "-subj", "/CN=test", "-keyout", key, "-out", cert)
	treetest.Write(t, at, signedWith(plain, []byte(run(t, openssl, "smime", "-sign", "-binary", "-noattr",
		"-nocerts", "-outform", "DER", "-in", at, "-signer", cert, "-inkey", key))))
	if got := run(t, modinfo, "-F", "sig_id", at); got != "PKCS#7\n" {
		t.Fatalf("modinfo sees no signature but %q", got)
	}
	made, err := Unsigned(t.Context(), treetest.Open(t, root))
	if err != nil {
		t.Fatal(err)
	}
	b, _ := strings.CutPrefix(contents(t, made)["/lib/modules/"+version+"/a.ko"], "file ")
	treetest.Write(t, at, []byte(b))
	if got := run(t, modinfo, "-F", "alias", at); got != "pci:v*\n" {
		t.Errorf("modinfo sees the alias %q", got)
	}
	if got := run(t, modinfo, "-F", "sig_id", at); got != "" {
		t.Errorf("modinfo still sees a signature: %q", got)
	}
}

// FuzzSignature keeps what a trailer claims within the module.
func FuzzSignature(f *testing.F) {
	whole := signed([]byte("module"), 20)
	f.Add(whole[len(whole)-trailerSize:], int64(len(whole)))
	f.Fuzz(func(t *testing.T, end []byte, size int64) {
		if size < int64(len(end)) {
			return
		}
		if n, err := signatureSize(end, size); n < 0 || n > size || err != nil && n != 0 {
			t.Fatalf("%d of %d bytes, %v", n, size, err)
		}
	})
}

// FuzzDemands looks for the two lines in any text.
func FuzzDemands(f *testing.F) {
	f.Add("CONFIG_MODULE_SIG_FORCE=y\nCONFIG_LOCK_DOWN_IN_EFI_SECURE_BOOT=y\n")
	f.Add("# CONFIG_MODULE_SIG_FORCE is not set\n")
	f.Fuzz(func(t *testing.T, config string) {
		always, locked, err := demands(strings.NewReader(config))
		if err != nil || always && !strings.Contains(config, sigForce) ||
			locked && !strings.Contains(config, lockDown) {
			t.Fatal(always, locked, err)
		}
	})
}
