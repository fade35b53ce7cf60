package list

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func parse(t testing.TB, text string) *List {
	t.Helper()
	l, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestKeep(t *testing.T) {
	l := parse(t, `
# comment
keep /etc/hosts   # another
keep /etc/NetworkManager/system-connections/ secret
keep /etc/ssh/ssh_host_* newest secret
keep /etc/passwd merge=users
keep "/etc/a file\t#.conf" merge=lines
keep /etc/cron.d/[!.]*
keep /etc/**/local.d/*.conf
keep /etc/default/
except /etc/default/keyboard
except /etc/NetworkManager/system-connections/*.bak
keep /etc/NetworkManager/system-connections/work.nmconnection merge=refuse
keep /usr/local/etc/**
keep /var/spool/cron/
keep /opt/app/data.conf
data /home/
data /var/log/journal
data /opt/app/data/
`)
	if w := l.Warnings(); len(w) > 0 {
		t.Fatalf("%v", w)
	}
	for path, want := range map[string]string{
		"/etc/hosts":                             "local",
		"/etc/hosts/x":                           "",
		"/etc/hostsx":                            "",
		"/etc/host":                              "",
		"/etc":                                   "",
		"/":                                      "",
		"/etc/NetworkManager":                    "",
		"/etc/NetworkManager/system-connections": "local secret",
		"/etc/NetworkManager/system-connections/a":                 "local secret",
		"/etc/NetworkManager/system-connections/a/b":               "local secret",
		"/etc/NetworkManager/system-connections/a.bak":             "",
		"/etc/NetworkManager/system-connections/work.nmconnection": "refuse",
		"/etc/ssh/ssh_host_rsa_key":                                "local newest secret",
		"/etc/ssh/ssh_host_":                                       "local newest secret",
		"/etc/ssh/sshd_config":                                     "",
		"/etc/passwd":                                              "users",
		"/etc/a file\t#.conf":                                      "lines",
		"/etc/cron.d/x":                                            "local",
		"/etc/cron.d/.x":                                           "",
		"/etc/cron.d":                                              "",
		"/etc/local.d/a.conf":                                      "local",
		"/etc/a/b/local.d/a.conf":                                  "local",
		"/etc/a/local.d/b/local.d/a.conf":                          "local",
		"/etc/local.d/b/a.conf":                                    "",
		"/etc/default/locale":                                      "local",
		"/etc/default/keyboard":                                    "",
		"/etc/default/grub":                                        "",
		"/etc/default/grub.d/x":                                    "",
		"/usr/local/etc":                                           "local",
		"/usr/local/etc/ssh/x":                                     "local",
		"/usr/local/etc/.deltaup-0123456789abcdef":                 "",
		"/var/spool/cron/crontabs/me":                              "local",
		"/opt/app/data.conf":                                       "local",
		"/opt/app/data":                                            "",
		"/home/me":                                                 "",
	} {
		got := ""
		if o, ok := l.Keep(path); ok {
			got = string(o.Merge)
			if o.Newest {
				got += " newest"
			}
			if o.Secret {
				got += " secret"
			}
		}
		if got != want {
			t.Errorf("%s is %q, not %q", path, got, want)
		}
	}
	if got, want := l.Places(), []string{"/etc", "/opt", "/usr/local", "/var/spool/cron"}; !slices.Equal(got, want) {
		t.Errorf("places %q, not %q", got, want)
	}
	if got, want := l.Data(), []string{"/home", "/opt/app/data", "/var/log/journal"}; !slices.Equal(got, want) {
		t.Errorf("data %q, not %q", got, want)
	}
	for folder, want := range map[string]bool{
		"/": true, "/etc": true, "/etc/NetworkManager": true, "/etc/NetworkManager/system-connections/a": true,
		"/opt": true, "/opt/app/data.conf": false, "/opt/app": true, "/opt/app/data": false, "/opt/other": false,
		"/usr": true, "/usr/local": true, "/usr/local/etc/x": true, "/usr/local/bin": false, "/usr/share": false,
		"/var": true, "/var/spool": true, "/var/spool/cron/atjobs": true, "/var/log": false, "/var/log/journal": false,
		"/home": false, "/run": false, "/etc/default": true, "/etc/default/grub.d": false,
		"/etc/default/keyboard": true, // of /etc/**/local.d
	} {
		if got := l.Below(folder); got != want {
			t.Errorf("below %s: %v", folder, got)
		}
	}
}

// TestWarnings shows each rule that does not count, and that the others do.
func TestWarnings(t *testing.T) {
	for line, want := range map[string]string{
		"save /etc/x":                            "1: save is no rule: keep, except, forget or data",
		"\x01 /etc/x":                            `1: "\x01" is no rule: keep, except, forget or data`,
		"  keep":                                 "7: keep names no path",
		"  keep # x":                             "8: keep names no path",
		"keep etc/x":                             "6: the path does not begin with /",
		`keep "/etc/x`:                           "6: the quotes around the path are not closed",
		`keep "/etc/x"y`:                         "14: y is no option: newest, secret, force or merge=",
		`keep "etc/x"`:                           "6: the path does not begin with /",
		"keep /etc//x":                           "11: two slashes follow one another",
		"keep /etc/../x":                         "11: the path has .. in it",
		"keep /etc/./x":                          "11: the path has . in it",
		`keep /etc/\.\./x`:                       "11: the path has .. in it",
		"keep /etc/a**":                          "12: ** stands alone between slashes",
		"keep /etc/a[x":                          "12: a set [ has no end ]",
		"keep /etc/a[z-a]":                       "12: a set has a range that is empty",
		`keep /etc/a\`:                           `12: nothing follows \`,
		`keep "/etc/\x00"`:                       "6: the path has a byte that no path has",
		"keep /" + strings.Repeat("x", 512):      "6: the path is longer than 512 bytes",
		"keep /e" + strings.Repeat("/x", 64):     "6: the path has more than 64 parts",
		"keep /*" + strings.Repeat("/x", 64):     "6: the path has more than 64 parts",
		"keep /":                                 "6: / covers everything: name the folders",
		"keep /**":                               "6: /** covers everything: name the folders",
		"keep /**/x":                             "6: no folder at the top is named: /**/x cannot be recorded",
		"keep /x":                                "6: no folder at the top is named: /x cannot be recorded",
		"keep /usr/bin/x":                        "6: /usr/bin belongs to the image, nothing of it is kept",
		"keep /usr/ force":                       "6: /usr belongs to the image, nothing of it is kept",
		"keep /usr/*/x":                          "6: /usr belongs to the image, nothing of it is kept",
		"keep /run/x/":                           "6: /run/x belongs to the image, nothing of it is kept",
		"data /usr/lib/x/":                       "6: /usr/lib/x belongs to the image, nothing of it is kept",
		"data /data/":                            "6: /data belongs to the image, nothing of it is kept",
		"data /home/*/":                          "6: a folder of data has no wildcards",
		"data /etc/x/":                           "6: what is in /etc is kept, it is no data",
		"data /home/ secret":                     "13: data has no options, not secret",
		"except /etc/x newest":                   "15: except has no options, not newest",
		"keep /etc/fstab":                        "6: /etc/fstab belongs to the image; force keeps it",
		"keep /etc/deltaup/":                     "6: /etc/deltaup belongs to the image; force keeps it",
		"keep /etc/grub.d/*":                     "6: /etc/grub.d belongs to the image; force keeps it",
		"keep /etc/default/grub":                 "6: /etc/default/grub belongs to the image; force keeps it",
		"keep /etc/x newst":                      "13: newst is no option: newest, secret, force or merge=",
		"keep /etc/x merge=git":                  "13: merge=git is none of local, image, lines, users and refuse",
		"keep /etc/x merge=":                     `13: merge="" is none of local, image, lines, users and refuse`,
		"keep /srv/x/y":                          "6: /srv/x/y is in a folder of data, where all is kept",
		"keep /srv/x/*":                          "6: /srv/x is in a folder of data, where all is kept",
		"keep /" + strings.Repeat("x", 50) + " ": "6: no folder at the top is named: /" + strings.Repeat("x", 50) + " cannot be recorded",
	} {
		p := parser{}
		p.parse("/f.conf", "\n"+line+"\nkeep /etc/hosts\r\ndata /srv/x/\n")
		l := p.list()
		if w := l.Warnings(); len(w) != 1 || w[0].String() != "/f.conf:2:"+want {
			t.Errorf("%s: %v, want %s", line, w, want)
		}
		if _, ok := l.Keep("/etc/hosts"); !ok || !slices.Contains(l.Data(), "/srv/x") {
			t.Errorf("%s spoils the rules behind it", line)
		}
	}
	// A part of a rule that does not count leaves the rest.
	if o, ok := parse(t, "keep /etc/x newst secret merge=git\n").Keep("/etc/x"); !ok || !o.Secret || o.Merge != Local {
		t.Errorf("%v %v", o, ok)
	}
}

func TestForce(t *testing.T) {
	l := parse(t, "keep /etc/fstab force merge=refuse\nkeep /etc/\n")
	if o, ok := l.Keep("/etc/fstab"); !ok || o.Merge != Refuse || !o.Force {
		t.Errorf("%v %v", o, ok)
	}
	for _, path := range []string{
		"/etc/crypttab", "/etc/mtab", "/etc/ld.so.cache", "/etc/deltaup", "/etc/deltaup/a/b", "/etc/default/grub",
		"/etc/default/grub.d/x", "/etc/grub.d/10_linux", "/etc/initramfs-tools/modules", "/etc/dracut.conf",
		"/etc/dracut.conf.d/x", "/etc/kernel/cmdline",
	} {
		if _, ok := l.Keep(path); ok {
			t.Errorf("%s is kept", path)
		}
		if _, ok := parse(t, "keep /etc/ force\n").Keep(path); !ok {
			t.Errorf("%s is not kept by force", path)
		}
	}
	if l.Below("/etc/deltaup") || !parse(t, "keep /etc/ force\n").Below("/etc/deltaup") {
		t.Error("below a guarded folder")
	}
}

func TestForget(t *testing.T) {
	l, err := Parse([]byte("keep /etc/\nforget /etc/passwd-\nforget /etc/cache/\nexcept /etc/no\n"))
	if err != nil || len(l.Warnings()) > 0 {
		t.Fatal(err, l.Warnings())
	}
	for path, want := range map[string]struct{ kept, forgotten bool }{
		"/etc/passwd":    {true, false},
		"/etc/passwd-":   {false, true},
		"/etc/cache/a/b": {false, true},
		"/etc/no":        {false, false},
	} {
		if _, kept := l.Keep(path); kept != want.kept || l.Forget(path) != want.forgotten {
			t.Errorf("%s: kept %v, forgotten %v", path, kept, l.Forget(path))
		}
	}
}

func TestRead(t *testing.T) {
	image := fstest.MapFS{
		"usr/lib/deltaup/settings.d/10-a.conf":      {Data: []byte("keep /etc/x secret\nwrong\n")},
		"usr/lib/deltaup/settings.d/20-b.conf":      {Data: []byte("keep /etc/x newest\n")},
		"usr/lib/deltaup/settings.d/README":         {Data: []byte("keep /etc/readme\n")},
		"usr/lib/deltaup/settings.d/.hidden.conf":   {Data: []byte("keep /etc/hidden\n")},
		"usr/lib/deltaup/settings.d/huge.conf":      {Data: make([]byte, maxFile+1)},
		"usr/lib/deltaup/settings.d/folder.conf/xx": {},
		"opt/.filetool.lst":                         {Data: []byte("etc/y\n")},
		"opt/.xfiletool.lst":                        {Data: []byte("*.bak\n")},
	}
	l, err := Read(image)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(l.Text()), "keep /etc/y/\nexcept /**/*.bak/\nkeep /etc/x secret\nkeep /etc/x newest\n"; got != want {
		t.Errorf("text %q, not %q", got, want)
	}
	if o, _ := l.Keep("/etc/x"); o.Secret || !o.Newest {
		t.Errorf("the last rule does not win: %v", o)
	}
	if got, want := fmt.Sprint(l.Warnings()), fmt.Sprintf("[%s/10-a.conf:2:1: wrong is no rule: keep, except, forget or data "+
		"%[1]s/folder.conf: not read: it is no regular file %[1]s/huge.conf: not read: it has more than 262144 bytes]", rulesFolder); got != want {
		t.Errorf("warnings %s, not %s", got, want)
	}
	empty, err := Read(fstest.MapFS{})
	if err != nil || len(empty.Places())+len(empty.Data()) > 0 || empty.Below("/etc") || len(empty.Text()) > 0 {
		t.Errorf("%v, %v", empty, err)
	}
	// Patterns without names leave nothing out.
	delete(image, "opt/.filetool.lst")
	if l, err = Read(image); err != nil || strings.Contains(string(l.Text()), "except") {
		t.Errorf("%q, %v", l.Text(), err)
	}
}

func TestBounds(t *testing.T) {
	var text strings.Builder
	for i := range maxRules + 10 {
		fmt.Fprintf(&text, "keep /etc/%d\n", i)
	}
	l := parse(t, text.String())
	if w := l.Warnings(); len(w) != 1 || w[0].Line != maxRules+1 || len(l.rules) != maxRules {
		t.Errorf("%v, %d rules", w, len(l.rules))
	}
	if w := parse(t, strings.Repeat("x\n", maxText/2)).Warnings(); len(w) != maxWarnings+1 {
		t.Errorf("%d warnings", len(w))
	}
	if _, err := Parse(make([]byte, maxText+1)); err == nil {
		t.Error("a text without bounds is parsed")
	}
	// The longest list can be stored and read again.
	text.Reset()
	for range maxRules {
		text.WriteString("keep \"/etc/" + strings.Repeat(`\x81`, maxPattern-6) + "/\" merge=refuse newest secret force\n")
	}
	l = parse(t, text.String())
	if again := parse(t, string(l.Text())); len(again.rules) != maxRules {
		t.Errorf("%d rules, %v", len(again.rules), l.Warnings())
	}
	files := fstest.MapFS{}
	for i := range maxFiles + 3 {
		files[fmt.Sprintf("usr/lib/deltaup/settings.d/%03d.conf", i)] = &fstest.MapFile{Data: []byte("keep /etc/x\n")}
	}
	if l, err := Read(files); err != nil || len(l.rules) != maxFiles || len(l.Warnings()) != 3 {
		t.Errorf("%d rules, %v", len(l.rules), err)
	}
}

// TestShipped reads the rules that come with deltaup: each counts, and they cover what they should.
func TestShipped(t *testing.T) {
	const folder = "../../dist/settings.d"
	files, err := os.ReadDir(folder)
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	image := fstest.MapFS{}
	for _, f := range files {
		text, err := os.ReadFile(folder + "/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f.Name(), ".conf") {
			t.Errorf("%s would not be read", f.Name())
		}
		image[rulesFolder[1:]+"/"+f.Name()] = &fstest.MapFile{Data: text}
	}
	l, err := Read(image)
	if err != nil || len(l.Warnings()) > 0 {
		t.Fatalf("%v, %v", l.Warnings(), err)
	}
	for path, want := range map[string]Options{
		"/etc/passwd":               {Merge: Users},
		"/etc/group":                {Merge: Users},
		"/etc/shadow":               {Merge: Users, Newest: true, Secret: true},
		"/etc/gshadow":              {Merge: Users, Newest: true, Secret: true},
		"/etc/machine-id":           {Merge: Local, Newest: true},
		"/etc/ssh/ssh_host_rsa_key": {Merge: Local, Newest: true, Secret: true},
		"/etc/NetworkManager/system-connections/Home.nmconnection": {Merge: Local, Secret: true},
		"/etc/hostname":               {Merge: Local},
		"/etc/hosts":                  {Merge: Lines},
		"/etc/localtime":              {Merge: Local},
		"/etc/crontab":                {Merge: Lines},
		"/var/spool/cron/crontabs/me": {Merge: Local},
		"/etc/wireguard/wg0.conf":     {Merge: Local, Secret: true},
		"/etc/sudoers.d/me":           {Merge: Local},
		"/etc/systemd/system/multi-user.target.wants/ssh.service": {Merge: Local},
	} {
		if got, ok := l.Keep(path); !ok || got != want {
			t.Errorf("%s: %v %v, not %v", path, got, ok, want)
		}
	}
	for _, path := range []string{
		"/etc/fstab", "/etc/passwd-", "/etc/passwd.lock", "/etc/.pwd.lock", "/etc/resolv.conf", "/etc/ssh/sshd_config.dpkg-new",
		"/etc/systemd/system.conf", "/etc/apt/sources.list", "/etc/ld.so.cache",
	} {
		if _, ok := l.Keep(path); ok {
			t.Errorf("%s is kept", path)
		}
	}
	if got := l.Places(); !slices.Equal(got, []string{"/etc", "/var/spool/cron"}) {
		t.Errorf("places %q", got)
	}
	if got := parse(t, string(l.Text())); string(got.Text()) != string(l.Text()) {
		t.Error("the text of the list is not the list")
	}
}

// TestPage reads the example of doc/settings.md.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../doc/settings.md")
	if err != nil {
		t.Fatal(err)
	}
	_, chapter, _ := strings.Cut(string(page), "\n## The list\n")
	_, example, _ := strings.Cut(chapter, "\n    ")
	example, _, _ = strings.Cut(example, "\n\n")
	l := parse(t, example)
	if w := l.Warnings(); len(w) > 0 || len(l.rules) < 5 {
		t.Errorf("%d rules, %v", len(l.rules), w)
	}
}

// BenchmarkKeep asks for 2,000 paths with 200 rules.
func BenchmarkKeep(b *testing.B) {
	var text strings.Builder
	for i := range 50 {
		fmt.Fprintf(&text, "keep /etc/app%d/\nkeep /etc/x/file%d*.conf\nkeep /etc/**/rule%d.d/*\nexcept /**/*.bak%d/\n", i, i, i, i)
	}
	l := parse(b, text.String())
	if len(l.rules) != 200 || len(l.Warnings()) > 0 {
		b.Fatal(len(l.rules), l.Warnings())
	}
	var paths []string
	for i := range 2000 {
		paths = append(paths, fmt.Sprintf("/etc/app%d/folder/of/files/file%d.conf", i%100, i))
	}
	kept := 0
	for b.Loop() {
		kept = 0
		for _, p := range paths {
			if _, ok := l.Keep(p); ok {
				kept++
			}
		}
	}
	if kept != 1000 {
		b.Fatal(kept)
	}
}
