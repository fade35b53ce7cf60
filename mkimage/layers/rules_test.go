package layers_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"deltaup/internal/test/debtest"
	"deltaup/internal/test/fonttest"
	"deltaup/mkimage/adopt"
	"deltaup/mkimage/layers"
)

// base has what Debian's users and groups begin with.
var base = debtest.Package{Name: "base-passwd", Files: []debtest.File{
	{Name: "usr/share/base-passwd/passwd.master", Content: "root:*:0:0:root:/root:/bin/bash\nwww-data:*:33:33:www-data:/var/www:/usr/sbin/nologin\n"},
	{Name: "usr/share/base-passwd/group.master", Content: "root:*:0:\nadm:*:4:\nshadow:*:42:\nwww-data:*:33:\n"},
}}

func TestUsers(t *testing.T) {
	conf := debtest.Package{Name: "sysusers", Files: []debtest.File{{Name: "usr/lib/sysusers.d/a.conf", Content: "# x\n" +
		"g render 105 -\nu! sys-x 200:105 \"System X\" /var/x /bin/sh\nu later - \"numbered at boot\"\nm sys-x adm\n"}}}
	w := newWorld(t, base, conf)
	got := w.composed(debian + `
user = [{ name = "site", uid = 1000, gecos = "Site", home = "/home/site", shell = "/bin/sh", groups = ["adm"] }]
group = [{ name = "_ssh", gid = 101, members = ["www-data"] }]
file = [{ path = "/srv", dir = true, owner = "site:_ssh", mode = "2750" }]
`)
	wantPaths(t, got, map[string]string{
		"etc/passwd": "0644 0:0 root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n" +
			"sys-x:x:200:105:System X:/var/x:/bin/sh\nsite:x:1000:1000:Site:/home/site:/bin/sh\n",
		"etc/group":  "0644 0:0 root:x:0:\nadm:x:4:sys-x,site\nshadow:x:42:\nwww-data:x:33:\nrender:x:105:\n_ssh:x:101:www-data\nsite:x:1000:\n",
		"etc/shadow": "0640 0:42 root:*:19675:0:99999:7:::\nwww-data:*:19675:0:99999:7:::\nsys-x:!:19675::::::\nsite:!:19675::::::\n",
		"srv":        "2750 1000:101 /",
	})
	for name, text := range map[string]string{
		"the same name":   `user = [{ name = "root", uid = 7 }]`,
		"the same number": `user = [{ name = "x", uid = 33 }]`,
		"group's number":  `group = [{ name = "x", gid = 4 }]`,
		"group's name":    `group = [{ name = "adm", gid = 5 }]`,
	} {
		if _, err := w.compose(debian + text); !errors.Is(err, layers.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{
		"no group":       `user = [{ name = "x", uid = 7, groups = ["nosuch"] }]`,
		"owner unknown":  `file = [{ path = "/x", text = "", owner = "nobody:adm" }]`,
		"owner one word": `file = [{ path = "/x", text = "", owner = "root" }]`,
	} {
		if _, err := w.compose(debian + text); !errors.Is(err, layers.ErrDefinition) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFiles(t *testing.T) {
	w := newWorld(t, debtest.Package{Name: "p", Files: []debtest.File{
		{Name: "usr/share/p/conf", Content: "conf", Mode: 0o640}, {Name: "etc/old/a", Content: "a"}, {Name: "etc/old/b", Content: "b"},
		{Name: "var/run/"}, {Name: "etc/keep", Content: "keep"},
	}})
	got := w.composed(debian + `
file = [
  { path = "/etc/p/conf", copy = "/usr/share/p/conf" },
  { path = "etc/text", text = "text\n", mode = "0600" },
  { path = "/etc/link", link = "../x" },
  { path = "/etc/old/*", remove = true },
  { path = "/var/run", link = "/run", replace = true },
  { path = "/etc/keep", attributes = true, mode = "0444", owner = "3:4" },
  { path = "/etc/text", text = "again", replace = true },
]
[[package]]
name = "p"
file = [{ path = "/etc/of-p", text = "p" }]
[[package]]
name = "missing"
file = [{ path = "/etc/of-missing", text = "x" }]
`)
	wantPaths(t, got, map[string]string{
		"etc/p/conf": "0640 0:0 conf", "etc/p": "0755 0:0 /", "etc/text": "0644 0:0 again", "etc/link": "-> ../x",
		"etc/old/a": "", "etc/old": "0755 0:0 /", "var/run": "-> /run", "etc/keep": "0444 3:4 keep",
		"etc/of-p": "0644 0:0 p", "etc/of-missing": "",
	})
	for name, c := range map[string]struct {
		file string
		err  error
	}{
		"taken":           {`path = "/etc/keep", text = ""`, layers.ErrConflict},
		"no source":       {`path = "/x", copy = "/nosuch"`, layers.ErrDefinition},
		"no such path":    {`path = "/nosuch", attributes = true`, layers.ErrDefinition},
		"nothing goes":    {`path = "/nosuch", remove = true`, layers.ErrDefinition},
		"climbs":          {`path = "/../x", text = ""`, layers.ErrDefinition},
		"root":            {`path = "/", text = ""`, layers.ErrDefinition},
		"two at once":     {`path = "/x", text = "", dir = true`, layers.ErrDefinition},
		"none":            {`path = "/x"`, layers.ErrDefinition},
		"mode":            {`path = "/x", text = "", mode = "999"`, layers.ErrDefinition},
		"unknown key":     {`path = "/x", txt = ""`, layers.ErrDefinition},
		"below a file":    {`path = "/etc/keep/x", text = ""`, layers.ErrDefinition},
		"bad pattern":     {`path = "/etc/[", remove = true`, layers.ErrDefinition},
		"over a folder":   {`path = "/etc/old", text = ""`, layers.ErrConflict},
		"behind a circle": {`path = "/circle/x", text = ""`, layers.ErrDefinition},
	} {
		_, err := w.compose(debian + `file = [{ path = "/circle", link = "circle" }, { ` + c.file + " }]\n")
		if !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAlternatives(t *testing.T) {
	w := newWorld(t,
		debtest.Package{Name: "vim", Control: map[string]string{"postinst": "#!/bin/sh\nset -e\n" +
			"update-alternatives --install /usr/bin/editor editor /usr/bin/vim 30 --slave /usr/share/man/man1/editor.1.gz editor.1.gz /usr/share/man/man1/vim.1.gz\n" +
			"add() { update-alternatives --install /usr/bin/$1 $1 /usr/bin/vim 10; }\nadd view\n"},
			Files: []debtest.File{{Name: "usr/bin/vim", Content: "vim"}, {Name: "usr/share/man/man1/vim.1.gz", Content: "man"}}},
		debtest.Package{Name: "nano", Control: map[string]string{"postinst": "update-alternatives --install /usr/bin/editor editor /usr/bin/nano 40 --slave /usr/share/man/man1/editor.1.gz editor.1.gz /usr/share/man/man1/nano.1.gz\n"},
			Files: []debtest.File{{Name: "usr/bin/nano", Content: "nano"}}},
		debtest.Package{Name: "gone", Control: map[string]string{"postinst": "update-alternatives --install /usr/bin/editor editor /usr/bin/gone 90\n"}})
	wantPaths(t, w.composed(debian), map[string]string{
		"usr/bin/editor": "-> /etc/alternatives/editor", "etc/alternatives/editor": "-> /usr/bin/nano",
		"usr/share/man/man1/editor.1.gz": "", "etc/alternatives/view": "-> /usr/bin/vim",
	})
	if _, err := w.compose(debian + "[rules]\nalternatives = \"none\"\n"); !errors.Is(err, layers.ErrHooks) {
		t.Errorf("without alternatives: %v", err)
	}
}

func TestApplets(t *testing.T) {
	w := newWorld(t, debtest.Package{Name: "busybox", Files: []debtest.File{
		{Name: "bin/busybox", Content: "no program"}, {Name: "bin/ls", Content: "a real ls"},
		{Name: "etc/busybox-paths.d/busybox", Content: "/bin/cat\n/bin/ls\n/usr/sbin/httpd\n"},
	}})
	wantPaths(t, w.composed(debian), map[string]string{
		"usr/bin/cat": "-> /bin/busybox", "usr/bin/ls": "0644 0:0 a real ls", "usr/sbin/httpd": "-> /bin/busybox",
	})
	wantPaths(t, w.composed(debian+"[rules]\napplets = \"none\"\n"), map[string]string{"usr/bin/cat": ""})
	if _, err := w.compose(debian + "[rules]\napplets = \"/bin/busybox\"\n"); err == nil {
		t.Error("a text has applets")
	}
	if _, err := w.compose(debian + "[rules]\napplets = \"/bin/nosuch\"\n"); !errors.Is(err, layers.ErrDefinition) {
		t.Errorf("no program: %v", err)
	}
}

func TestDiversions(t *testing.T) {
	preinst := "dpkg-divert --package new --rename --divert /usr/bin/tool.old --add /usr/bin/tool\n"
	w := newWorld(t,
		debtest.Package{Name: "new", Control: map[string]string{"preinst": preinst}, Files: []debtest.File{{Name: "usr/bin/tool", Content: "new"}}},
		debtest.Package{Name: "moved", Control: map[string]string{
			"preinst":  "dpkg-divert --package other --no-rename --divert /usr/bin/moved.x --add /usr/bin/moved\n",
			"postinst": "dpkg-divert --package other --rename --divert /usr/bin/moved.x --remove /usr/bin/moved\n",
		}, Files: []debtest.File{{Name: "usr/bin/moved", Content: "moved"}}},
		debtest.Package{Name: "old", Control: map[string]string{"postinst": "dpkg-divert --package old --remove /usr/bin/gone\n"},
			Files: []debtest.File{{Name: "usr/bin/tool", Content: "old"}}})
	wantPaths(t, w.composed(debian), map[string]string{"usr/bin/tool": "0644 0:0 new", "usr/bin/tool.old": "0644 0:0 old", "usr/bin/moved": "0644 0:0 moved"})
}

// TestRuleOff demands that a script counts whose work a rule does not do that is off.
func TestRuleOff(t *testing.T) {
	for rule, script := range map[string]string{
		"certificates = false":    "update-ca-certificates",
		"libraries = false":       "ldconfig",
		"tmpfiles = false":        "systemd-tmpfiles --create x.conf",
		"alternatives = \"none\"": "update-alternatives --install /usr/bin/e e /usr/bin/vi 1",
		"applets = \"none\"":      "/bin/busybox --install -s",
	} {
		w := newWorld(t, debtest.Package{Name: "p", Control: map[string]string{"postinst": script + "\n"}, Files: []debtest.File{{Name: "usr/bin/vi"}}})
		if _, err := w.compose(debian); err != nil {
			t.Errorf("%s, on: %v", script, err)
		}
		if _, err := w.compose(debian + "[rules]\n" + rule + "\n"); !errors.Is(err, layers.ErrHooks) {
			t.Errorf("%s, off: %v", script, err)
		}
	}
}

// TestTriggered follows a script also as others' files trigger it.
func TestTriggered(t *testing.T) {
	p := debtest.Package{Name: "p", Control: map[string]string{
		"triggers": "interest-noawait /usr/share/x\n", "postinst": "if [ \"$1\" = triggered ]; then make-cache; fi\n",
	}}
	if _, err := newWorld(t, p).compose(debian); !errors.Is(err, layers.ErrHooks) {
		t.Errorf("triggered: %v", err)
	}
	p.Control["triggers"] = "activate-noawait ldconfig\n"
	if _, err := newWorld(t, p).compose(debian); err != nil {
		t.Errorf("not triggered: %v", err)
	}
}

func TestUnits(t *testing.T) {
	unit := func(name, install string) debtest.File {
		return debtest.File{Name: "lib/systemd/system/" + name, Content: "[Unit]\n[Service]\nExecStart=/x\n[Install]\n" + install}
	}
	w := newWorld(t, debtest.Package{Name: "systemd", Files: []debtest.File{
		{Name: "lib/systemd/systemd", Content: "x"},
		unit("a.service", "WantedBy=multi-user.target\nAlias=b.service\nAlso=c.timer missing.service\n"),
		unit("c.timer", "RequiredBy=timers.target\n"),
		unit("getty@.service", "WantedBy=getty.target\nDefaultInstance=tty1\n"),
		unit("preset.service", "WantedBy=multi-user.target\n"),
		unit("off.service", "WantedBy=multi-user.target\n"),
		{Name: "lib/systemd/system-preset/90.preset", Content: "disable off.*\nenable preset.service\ndisable *\n"},
	}})
	got := w.composed(debian + "[rules]\npresets = true\n" + "[[package]]\nname = \"systemd\"\nenable = [\"a.service\", \"getty@.service\", \"getty@tty9.service\"]\nmask = [\"x.timer\"]\n")
	wantPaths(t, got, map[string]string{
		"etc/systemd/system/multi-user.target.wants/a.service":      "-> /lib/systemd/system/a.service",
		"etc/systemd/system/b.service":                              "-> /lib/systemd/system/a.service",
		"etc/systemd/system/timers.target.requires/c.timer":         "-> /lib/systemd/system/c.timer",
		"etc/systemd/system/getty.target.wants/getty@tty1.service":  "-> /lib/systemd/system/getty@.service",
		"etc/systemd/system/getty.target.wants/getty@tty9.service":  "-> /lib/systemd/system/getty@.service",
		"etc/systemd/system/x.timer":                                "-> /dev/null",
		"etc/systemd/system/multi-user.target.wants/preset.service": "-> /lib/systemd/system/preset.service",
		"etc/systemd/system/multi-user.target.wants/off.service":    "",
	})
	for _, text := range []string{`enable = ["nosuch.service"]`, `mask = ["a/b.service"]`} {
		if _, err := w.compose(debian + "[[package]]\nname = \"systemd\"\n" + text); !errors.Is(err, layers.ErrDefinition) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestDeltaup(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, debtest.Package{Name: "p", Files: []debtest.File{{Name: "usr/bin/p"}, {Name: "boot/x"}}})
	w.write("root.json", "{}")
	d, err := w.definition(debian + "[deltaup]\nprogram = \"" + program + "\"\nroot = \"root.json\"\n")
	if err != nil {
		t.Fatal(err)
	}
	d.Architecture = "" // whatever the tests run on
	w.lock.Layers = d.LockedLayers()
	made, err := layers.Compose(t.Context(), d, w.options())
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	want := map[string]string{
		"usr/bin/deltaup": "", "usr/lib/deltaup/root.json": "", "data": "", "boot": "", "boot/x": "",
		"etc/systemd/system/timers.target.wants/deltaup-update.timer": "/usr/lib/systemd/system/deltaup-update.timer",
	}
	for _, e := range made.Entries() {
		if target, ok := want[e.Path]; ok && target == e.Target && e.UID == 0 {
			delete(want, e.Path)
		}
	}
	if len(want) > 0 {
		t.Errorf("missing, or other: %v", want)
	}
	if _, err := w.compose(debian + "[deltaup]\nprogram = \"root.json\"\n"); !errors.Is(err, adopt.ErrSettings) {
		t.Errorf("a text as program: %v", err)
	}
}

func TestTmpfiles(t *testing.T) {
	w := newWorld(t, base, debtest.Package{Name: "p", Files: []debtest.File{{Name: "usr/lib/tmpfiles.d/p.conf", Content: strings.Join([]string{
		"d /var/lib/p 0750 www-data adm -", "f /var/lib/p/state 0600 - - - text", "L /var/lib/p/link - - - - ../x", "d /run/p 0755",
		"d /var/lib/%b 0755", "C /var/lib/copied - - - - /etc", "f^ /etc/hosts - - - - network.hosts", "d! /var/lib/boot 0755",
		"d /var/lib/owner 0755 later later", "d /usr/share 0700",
	}, "\n")}, {Name: "usr/share/x", Content: "x"}}})
	wantPaths(t, w.composed(debian), map[string]string{
		"var/lib/p": "0750 33:4 /", "var/lib/p/state": "0600 0:0 text", "var/lib/p/link": "-> ../x", "run/p": "", "var/lib/%b": "",
		"var/lib/copied": "", "etc/hosts": "", "var/lib/boot": "", "var/lib/owner": "", "usr/share": "0700 0:0 /",
	})
}

func TestHooks(t *testing.T) {
	known := "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then mkdir -p /var/lib/p; fi\n"
	open := "#!/bin/sh\nmake-it /x\n"
	w := newWorld(t, debtest.Package{Name: "p", Control: map[string]string{"preinst": known, "postinst": open, "prerm": open},
		Files: []debtest.File{{Name: "var/lib/p/"}}})
	_, err := w.compose(debian)
	if !errors.Is(err, layers.ErrHooks) || !strings.Contains(err.Error(), "p postinst") || strings.Contains(err.Error(), "preinst") {
		t.Errorf("composed: %v", err)
	}
	d, err := w.definition(debian)
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := layers.Hooks(t.Context(), d, w.options())
	if err != nil || len(hooks) != 2 || len(hooks[0].Rest) != 0 || len(hooks[1].Rest) != 1 || hooks[1].Rest[0] != "make-it /x" {
		t.Fatalf("hooks %+v, %v", hooks, err)
	}
	ack := debian + "[[package]]\nname = \"p\"\nack = [{ script = \"postinst\", sha256 = \"" + hooks[1].SHA256 + "\", why = \"a test\" }]\n"
	if _, err := w.compose(ack); err != nil {
		t.Errorf("acknowledged: %v", err)
	}
	if _, err := w.compose(strings.Replace(ack, hooks[1].SHA256[:8], "00000000", 1)); !errors.Is(err, layers.ErrHooks) {
		t.Errorf("another script acknowledged: %v", err)
	}
	if _, err := w.compose(strings.Replace(ack, "a test", "", 1)); !errors.Is(err, layers.ErrDefinition) {
		t.Errorf("acknowledged without a reason: %v", err)
	}
}

// TestDesktop makes what programs of desktops make, where the tree has these programs.
func TestDesktop(t *testing.T) {
	const schemas = "usr/share/glib-2.0/schemas"
	files := []debtest.File{
		{Name: "usr/share/mime/packages/x.xml", Content: `<mime-info xmlns="http://www.freedesktop.org/standards/shared-mime-info">` +
			`<mime-type type="text/x-p"><glob pattern="*.p"/></mime-type></mime-info>`},
		{Name: "usr/share/applications/p.desktop", Content: "[Desktop Entry]\nMimeType=text/x-p;\n"},
		{Name: schemas + "/p.gschema.xml", Content: `<schemalist><schema id="p"><key name="k" type="b"><default>true</default></key></schema></schemalist>`},
		{Name: "usr/share/icons/p/index.theme", Content: "[Icon Theme]\n"}, {Name: "usr/share/icons/p/16/p.png", Content: ""},
		{Name: "usr/share/pkgconfig/shared-mime-info.pc", Content: "Version: 2.4\n"},
	}
	made := []string{"usr/share/mime/globs2", "usr/share/mime/text/x-p.xml", "usr/share/mime/mime.cache",
		"usr/share/applications/mimeinfo.cache", schemas + "/gschemas.compiled", "usr/share/icons/p/icon-theme.cache"}
	has := func(w *world, rules string, want bool) {
		t.Helper()
		got := w.composed(debian + rules)
		for _, p := range made {
			if _, ok := got[p]; ok != want {
				t.Errorf("%s: %v, want %v", p, ok, want)
			}
		}
	}
	has(newWorld(t, debtest.Package{Name: "p", Files: files}), "", false)
	for _, program := range []string{"update-mime-database", "update-desktop-database", "glib-compile-schemas", "gtk-update-icon-cache"} {
		files = append(files, debtest.File{Name: "usr/bin/" + program, Content: program, Mode: 0o755})
	}
	w := newWorld(t, debtest.Package{Name: "p", Files: files})
	has(w, "", true)
	has(w, "[rules]\nmime = false\napplications = false\nschemas = false\nicons = false\n", false)
	wantPaths(t, w.composed(debian), map[string]string{
		"usr/share/applications/mimeinfo.cache": "0644 0:0 [MIME Cache]\ntext/x-p=p.desktop;\n",
	})
}

// TestFonts demands font caches, a warning where there can be none, and that they are what covers
// the program's script.
func TestFonts(t *testing.T) {
	const script = "#!/bin/sh\nmkdir -p /var/cache/fontconfig\nfc-cache -s -f -v 1>/var/log/fontconfig.log 2>&1 || exit 1\n"
	compose := func(version uint32, font, rules string) (paths string, warnings []string, err error) {
		t.Helper()
		w := newWorld(t, debtest.Package{Name: "p", Control: map[string]string{"postinst": script}, Files: []debtest.File{
			{Name: "usr/bin/fc-cache", Mode: 0o755}, {Name: "etc/fonts/fonts.conf", Content: fonttest.Config},
			{Name: "usr/lib/libfontconfig.so.1", Content: string(fonttest.Library(version))},
			{Name: "usr/lib/" + fonttest.FreeType(version)}, {Name: "usr/lib/libfreetype.so.6", Link: fonttest.FreeType(version)},
			{Name: "usr/share/fonts/a/font", Content: font},
		}})
		made, err := w.compose(debian + rules)
		if err != nil {
			return "", nil, err
		}
		defer made.Close()
		for _, e := range made.Entries() {
			if strings.HasPrefix(e.Path, "var/cache/fontconfig/") {
				paths += strings.TrimPrefix(e.Path, "var/cache/fontconfig/") + " "
			}
		}
		return paths, made.Warnings(), nil
	}
	const top = "3830d5c3ddfd5cd38a049b759396e72e-le64.cache-8"
	paths, warnings, err := compose(fonttest.Release, "none", "")
	if err != nil || len(warnings) != 0 || strings.Count(paths, " ") != 3 || !strings.Contains(paths, top) {
		t.Error(paths, warnings, err)
	}
	paths, warnings, err = compose(fonttest.Release, "STARTFONT 2.1\n", "")
	if err != nil || len(warnings) != 1 || strings.Count(paths, " ") != 2 || !strings.Contains(paths, top) {
		t.Error(paths, warnings, err)
	}
	if _, _, err := compose(1, "none", ""); !errors.Is(err, layers.ErrHooks) {
		t.Errorf("an unknown release: %v", err)
	}
	if _, _, err := compose(fonttest.Release, "none", "[rules]\nfonts = false\n"); !errors.Is(err, layers.ErrHooks) {
		t.Errorf("without the rule: %v", err)
	}
}

// TestCovered demands that the program of a rule counts where the rule is off, and only there.
func TestCovered(t *testing.T) {
	for command, rule := range map[string]string{
		"systemd-sysusers": "sysusers", "update-ca-certificates": "certificates", "pam-auth-update": "pam",
		"update-shells": "shells", "systemd-tmpfiles --create": "tmpfiles", "systemd-hwdb update": "hwdb",
		"journalctl --update-catalog": "catalog", "update-mime-database /usr/share/mime": "mime",
		"update-desktop-database": "applications", "glib-compile-schemas /x": "schemas",
		"gtk-update-icon-cache /x": "icons", "depmod -a": "depmod", "ldconfig": "libraries",
	} {
		w := newWorld(t, debtest.Package{Name: "p", Control: map[string]string{"postinst": "#!/bin/sh\n" + command + "\n"}})
		if _, err := w.compose(debian); err != nil {
			t.Errorf("%s: %v", command, err)
		}
		if _, err := w.compose(debian + "[rules]\n" + rule + " = false\n"); !errors.Is(err, layers.ErrHooks) {
			t.Errorf("%s without its rule: %v", command, err)
		}
	}
}

// TestDropIns demands that settings in etc hide those of the same name in usr.
func TestDropIns(t *testing.T) {
	w := newWorld(t, debtest.Package{Name: "p", Files: []debtest.File{
		{Name: "etc/passwd", Content: "root:x:0:0:root:/root:/bin/sh\n"}, {Name: "etc/group", Content: "root:x:0:\n"},
		{Name: "usr/lib/sysusers.d/a.conf", Content: "g hidden 5\n"}, {Name: "etc/sysusers.d/a.conf", Content: "g shown 6\n"},
		{Name: "usr/lib/sysusers.d/b.conf", Content: "g other 7\n"},
	}})
	wantPaths(t, w.composed(debian), map[string]string{"etc/group": "0644 0:0 root:x:0:\nshown:x:6:\nother:x:7:\n"})
}
