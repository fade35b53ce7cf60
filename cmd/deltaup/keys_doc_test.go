package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestKeysPage runs every command of doc/keys.md, in its order, as an operator who follows it
// would.
func TestKeysPage(t *testing.T) {
	page, err := os.ReadFile("../../doc/keys.md")
	must(t, err)
	commands := regexp.MustCompile(`(?m)^ {4,}deltaup (.+)$`).FindAllStringSubmatch(string(page), -1)
	if len(commands) < 20 {
		t.Fatalf("the page has %d commands", len(commands))
	}
	t.Chdir(t.TempDir())
	must(t, os.WriteFile("secret", []byte("correct horse\n"), 0o600))
	for _, v := range []string{"v2", "v3"} {
		must(t, os.Mkdir(v, 0o755))
		must(t, os.WriteFile(filepath.Join(v, "version"), []byte(v), 0o644))
		mustDeltaup(t, "mkimage", "-o", v+".squashfs", "--level", "fastest", "--mtime", "1700000000", "--owner", "0:0", v)
	}
	mustDeltaup(t, "keys", "init", "--keys", "keys2", "--mirror", "mirror2", "--passphrase-file", "secret", "--work", "1")
	mustDeltaup(t, "publish", "--keys", "keys2", "--mirror", "mirror2", "--passphrase-file", "secret", "--version", "1", "v2.squashfs")
	roles := []string{"targets", "root"} // whose key the next revocation is of
	for _, c := range commands {
		args := strings.Fields(c[1])
		if args[len(args)-1] == "ID" {
			args[len(args)-1] = firstKey(t, roles[0])
			roles = roles[1:]
		}
		if args[0] == "keys" && args[1] != "list" {
			args = append(args, "--work", "1") // each key would take a second
		}
		t.Log("deltaup", strings.Join(args, " "))
		mustDeltaup(t, args...)
		switch args[0] + " " + args[1] {
		case "keys init": // as the page says next
			must(t, os.Mkdir("root", 0o700))
			moveKeys(t, "root")
		case "publish --keys":
			if version, _ := os.ReadFile("root-file-is-kept"); version == nil {
				mustDeltaup(t, "pull", "mirror", "--root", "keys/root.json", "--state", "state", "--slot", "slot-b")
				must(t, os.WriteFile("root-file-is-kept", []byte("yes"), 0o644))
			}
		}
	}
	sameFile(t, "slot-b", "v3.squashfs")
	scheduled(t, string(page))
	if len(roles) > 0 {
		t.Errorf("no key of %v was revoked", roles)
	}
}

// scheduled runs what the page's cron line and unit run, with their places in the present folder.
func scheduled(t *testing.T, page string) {
	t.Helper()
	places := strings.NewReplacer("/etc/deltaup/keys", "keys", "/srv/mirror", "mirror", "/etc/deltaup/passphrase", "secret", "%d/passphrase", "secret")
	commands := regexp.MustCompile(`(?m)^ +(?:(?:[0-9*]+ ){5}\w+ |ExecStart=)deltaup (.+)$`).FindAllStringSubmatch(page, -1)
	if len(commands) != 2 {
		t.Fatalf("the page has %d scheduled commands", len(commands))
	}
	for _, c := range commands {
		before, err := os.ReadFile("mirror/metadata/timestamp.json")
		must(t, err)
		mustDeltaup(t, strings.Fields(places.Replace(c[1]))...)
		after, err := os.ReadFile("mirror/metadata/timestamp.json")
		must(t, err)
		if string(before) == string(after) {
			t.Errorf("deltaup %s signed nothing", c[1])
		}
	}
}

// moveKeys moves a role's keys into the folder of its name.
func moveKeys(t *testing.T, role string) {
	t.Helper()
	files, err := filepath.Glob("keys/" + role + "-*.age")
	must(t, err)
	for _, f := range files {
		must(t, os.Rename(f, filepath.Join(role, filepath.Base(f))))
	}
}

// firstKey is the id of a role's first key, as keys list shows it.
func firstKey(t *testing.T, role string) string {
	t.Helper()
	out := mustDeltaup(t, "keys", "list", "--keys", "keys", "--keys", "root", "--mirror", "mirror")
	lines := strings.Split(out, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, role+" ") {
			return strings.Fields(lines[i+1])[0]
		}
	}
	t.Fatalf("no %s in %q", role, out)
	return ""
}
