package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// whole sets every key.
const whole = `mirrors = ["https://mirror.example/os", "/media/usb"]
channel = "beta"
compatible = "board-a"
accept_expired = "90d"
state = "/data/deltaup"

[boot]
loader = "grub"
grubenv = "/boot/efi/grubenv"
attempts = 5
args = "console=ttyS0,115200 deltaup.overlay=data"
data = "required"

[[slot]]
name = "a"
path = "/dev/disk/by-partlabel/slot-a"
boot = "/boot/deltaup/a"

[[slot]]
name = "b"
path = "/data/slots/b.squashfs"
boot = "/boot/deltaup/b"
image = "LABEL=data:/slots/b.squashfs"
`

// least sets only what must be.
const least = `
[[slot]]
name = "a"
path = "/dev/vg/a"
boot = "/boot/a"
[[slot]]
name = "b"
path = "/dev/vg/b"
boot = "/boot/b"
`

func TestParse(t *testing.T) {
	c, err := parse("f", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Mirrors) != 2 || c.Channel != "beta" || c.Compatible != "board-a" || c.State != "/data/deltaup" || c.File != "f" || c.AcceptExpired != "90d" {
		t.Errorf("got %+v", c)
	}
	if want := (Boot{"grub", "/boot/efi/grubenv", 5, "console=ttyS0,115200 deltaup.overlay=data", DataRequired}); c.Boot != want {
		t.Errorf("boot: got %+v, want %+v", c.Boot, want)
	}
	a := Slot{"a", "/dev/disk/by-partlabel/slot-a", "/boot/deltaup/a", "/dev/disk/by-partlabel/slot-a"}
	b := Slot{"b", "/data/slots/b.squashfs", "/boot/deltaup/b", "LABEL=data:/slots/b.squashfs"}
	if len(c.Slots) != 2 || c.Slots[0] != a || c.Slots[1] != b {
		t.Errorf("slots: got %+v", c.Slots)
	}
	if c.Slot("b") != &c.Slots[1] || c.Slot("c") != nil {
		t.Error("Slot gives another slot")
	}
}

func TestDefaults(t *testing.T) {
	c, err := parse("f", []byte(least))
	if err != nil {
		t.Fatal(err)
	}
	if c.Channel != "stable" || c.State != "/var/lib/deltaup" || c.Compatible != "" || len(c.Mirrors) != 0 {
		t.Errorf("got %+v", c)
	}
	if want := (Boot{Loader: "grub", Grubenv: "/boot/deltaup/grubenv", Attempts: 3, Data: DataFallback}); c.Boot != want {
		t.Errorf("boot: got %+v, want %+v", c.Boot, want)
	}
}

// TestRefused changes one line of a good file; the error says where and what.
func TestRefused(t *testing.T) {
	for _, x := range []struct{ old, new, want string }{
		{`channel = "beta"`, `chanel = "beta"`, `f:2: chanel: unknown key`},
		{`attempts = 5`, `attemps = 5`, `f:10: boot.attemps: unknown key`},
		{`name = "b"`, `name = "b"` + "\n" + `pth = "/x"`, `f:21: slot.pth: unknown key`},
		{`attempts = 5`, `attempts = "5"`, `f:10: boot.attempts: does not take a TOML string`},
		{`channel = "beta"`, `channel = 5`, `f:2: channel: does not take a TOML integer`},
		{`channel = "beta"`, `channel = "beta`, `f:2: `},
		{`channel = "beta"`, `channel = "beta"` + "\n" + `channel = "stable"`, `f:3: channel: key channel is already defined`},
		{`channel = "beta"`, `channel = ""`, `f: channel: is empty`},
		{`"/media/usb"`, `""`, `f: mirrors: has an empty entry`},
		{`state = "/data/deltaup"`, `state = "data"`, `f: state: "data" is no absolute path`},
		{`"90d"`, `"soon"`, `f: accept_expired: "soon" is no time such as 90d or 12h`},
		{`"/boot/efi/grubenv"`, `"grubenv"`, `f: boot.grubenv: "grubenv" is no absolute path`},
		{`attempts = 5`, `attempts = 0`, `f: boot.attempts: 0 is not within 1 to 9`},
		{`attempts = 5`, `attempts = 10`, `f: boot.attempts: 10 is not within 1 to 9`},
		{`console=ttyS0`, `$(reboot)`, `f: boot.args: `},
		{`data = "required"`, `data = "must"`, `f: boot.data: "must" is neither fallback, optional nor required`},
		{`console=ttyS0,115200`, `quiet deltaup.nodata=fallback`, `f: boot.args: deltaup.nodata= and boot.data exclude each other`},
		{`name = "b"`, `name = "B"`, `f: slot 2 ("B"): name: wanted`},
		{`name = "b"`, `name = "a"`, `f: slot 2 ("a"): name: slot 1 has it too`},
		{`"/data/slots/b.squashfs"`, `"/dev//disk/by-partlabel/slot-a"`, `f: slot 2 ("b"): path: slot 1 has it too`},
		{`"/boot/deltaup/b"`, `"/boot/deltaup/a/"`, `f: slot 2 ("b"): boot: slot 1 has it too`},
		{`image = "LABEL=data:/slots/b.squashfs"`, ``, `f: slot 2 ("b"): image: is missing`},
		{`"LABEL=data:/slots/b.squashfs"`, `"/slots/b.squashfs"`, `f: slot 2 ("b"): image: "/slots/b.squashfs" is neither`},
		{`"LABEL=data:/slots/b.squashfs"`, `"/dev/disk/by-partlabel/slot-a"`, `f: slot 2 ("b"): image: slot 1 has it too`},
		{whole[strings.Index(whole, "[[slot]]\nname = \"b\""):], ``, `f: slot: there are 1, wanted are 2 to 8`},
	} {
		changed := strings.Replace(whole, x.old, x.new, 1)
		if changed == whole {
			t.Fatalf("%q is not in the file", x.old)
		}
		_, err := parse("f", []byte(changed))
		var e *Error
		if !errors.As(err, &e) || !strings.HasPrefix(err.Error(), x.want) {
			t.Errorf("%s: got %v, want %s", x.new, err, x.want)
		}
	}
	if _, err := parse("f", make([]byte, maxSize+1)); err == nil {
		t.Error("took a file that is too long")
	}
}

// TestFind makes the places one after the other, the last one first: each outdoes those before it.
func TestFind(t *testing.T) {
	root := t.TempDir()
	if _, err := Find(root); !errors.Is(err, ErrNone) {
		t.Errorf("nothing there: got %v, want ErrNone", err)
	}
	for i := len(Places) - 1; i >= 0; i-- {
		path := filepath.Join(root, Places[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(least), 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := Find(root); err != nil || got != path {
			t.Errorf("got %s, %v, want %s", got, err, path)
		}
		if c, err := Load(path); err != nil || c.File != path {
			t.Errorf("load: %v", err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte(least))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parse("f", b)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("not located: %v", err)
			}
			return
		}
		if err := c.check(); err != nil {
			t.Fatalf("passed and fails: %v", err)
		}
	})
}
