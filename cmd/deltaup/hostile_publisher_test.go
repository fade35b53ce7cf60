package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// publisher is a signed mirror as it was after each of three releases, and its keys.
type publisher struct {
	dir    string
	states [4]string // the mirror after so many releases; 0 is none
	image  [4]string
	keys   string
	secret string
	// of a machine that was given release 1 and trusts the publisher, has installed release 2 in
	// slot b, and runs that
	root string
}

var (
	makePublisher  sync.Once
	thePublisher   publisher
	publisherError error
)

// newPublisher makes the publisher once; nobody changes it.
func newPublisher(t *testing.T) *publisher {
	t.Helper()
	makePublisher.Do(func() {
		var err error
		if thePublisher.dir, err = os.MkdirTemp("", "deltaup-hostile"); err == nil {
			err = thePublisher.make(t)
		}
		publisherError = err
	})
	if publisherError != nil {
		t.Fatal(publisherError)
	}
	return &thePublisher
}

func (p *publisher) make(t *testing.T) error {
	p.keys, p.secret = filepath.Join(p.dir, "keys"), filepath.Join(p.dir, "secret")
	if err := os.WriteFile(p.secret, []byte("correct horse\n"), 0o600); err != nil {
		return err
	}
	at, kernel, initrd := filepath.Join(p.dir, "mirror"), filepath.Join(p.dir, "kernel"), filepath.Join(p.dir, "initrd")
	for _, file := range []string{kernel, initrd} {
		if err := os.WriteFile(file, []byte(filepath.Base(file)), 0o644); err != nil {
			return err
		}
	}
	mustDeltaup(t, "keys", "init", "--keys", p.keys, "--mirror", at, "--passphrase-file", p.secret, "--work", "1", "--quorum", "root=2/3", "--quorum", "targets=2/2")
	for n := 1; n <= 3; n++ {
		tree := filepath.Join(p.dir, fmt.Sprint("tree", n))
		if err := os.MkdirAll(tree, 0o755); err != nil {
			return err
		}
		for i := range 4 {
			content := bytes.Repeat([]byte(fmt.Sprintf("file %d, ", i)), 20_000)
			for k := range 3000 { // not to be guessed, and other in each release
				content[k*7] = byte(k*k*(i+3*n)>>3 ^ k)
			}
			if err := os.WriteFile(filepath.Join(tree, fmt.Sprint("lib", i)), content, 0o644); err != nil {
				return err
			}
		}
		p.image[n] = filepath.Join(p.dir, fmt.Sprintf("v%d.squashfs", n))
		mustDeltaup(t, "mkimage", "-o", p.image[n], "--level", "fastest", "--mtime", "1700000000", "--owner", "0:0", tree)
		mustDeltaup(t, "publish", "--mirror", at, "--version", fmt.Sprint(n), "--keys", p.keys, "--passphrase-file", p.secret, "--kernel", kernel, "--initrd", initrd, p.image[n])
		p.states[n] = filepath.Join(p.dir, fmt.Sprint("state", n))
		if err := os.CopyFS(p.states[n], os.DirFS(at)); err != nil {
			return err
		}
	}
	p.machine(t)
	return nil
}

// machine makes the machine that attacks are tried on.
func (p *publisher) machine(t *testing.T) {
	t.Helper()
	m := &smallMachine{t: t, root: filepath.Join(p.dir, "root")}
	p.root = m.root
	var config strings.Builder
	for _, slot := range []string{"a", "b"} {
		fmt.Fprintf(&config, "[[slot]]\nname = %q\npath = \"/data/%s\"\nboot = \"/boot/%s\"\nimage = \"LABEL=data:/%s\"\n", slot, slot, slot, slot)
	}
	m.write("/etc/deltaup/deltaup.toml", []byte(config.String()))
	m.plant("a", m.readFile(p.image[1]))
	m.write("/boot/a/vmlinuz", []byte("kernel"))
	m.write("/boot/a/initrd.img", []byte("initrd"))
	m.write("/etc/deltaup/root.json", m.readFile(filepath.Join(p.keys, "root.json")))
	mustDeltaup(t, "boot", "setup", "--sysroot", m.root)
	mustDeltaup(t, "install", p.states[2], "--sysroot", m.root)
	m.plant("b", nil)
	mustDeltaup(t, "mark-good", "--sysroot", m.root)
	sameFile(t, m.path("/data/b"), p.image[2])
}
