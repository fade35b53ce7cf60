package boottest

import (
	"bytes"
	"strings"
	"testing"
)

// TestCoexist sources deltaup's script in the grub.cfg of a distribution. The distribution's
// default must stay the default, without a write to the environment block, and each of deltaup's
// entries must be able to become the default.
func TestCoexist(t *testing.T) {
	env := block("deltaup_active=a", "deltaup_trial=b", "deltaup_tries=3", "saved_entry=debian")
	counted := bytes.Replace(env, []byte("tries=3"), []byte("tries=2"), 1)
	for name, c := range map[string]struct {
		choice string // line of the distribution's grub.cfg
		args   string // arguments that the kernel gets
		initrd string
		env    []byte
	}{
		"no default":      {"", "root=LABEL=debian", "debian", env},
		"its own entry":   {"set default=debian", "root=LABEL=debian", "debian", env},
		"saved in shared": {"load_env -f " + envPath + " saved_entry; set default=$saved_entry", "root=LABEL=debian", "debian", env},
		"counted entry":   {"set default=deltaup", "deltaup.slot=b deltaup.trial panic=30", "b", counted},
		"slot's entry":    {"set default=deltaup-c", "deltaup.slot=c panic=30", "c", env},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := layout{fs: "ext4", boot: 4 * mib, files: map[string][]byte{envPath: env}}
			part, err := stubConfig(&l, nil).Part()
			if err != nil {
				t.Fatal(err)
			}
			l.files["/vmlinuz"] = stubKernel()
			l.files["/initrd.img"] = []byte("initrd of debian")
			l.files["/deltaup/deltaup.cfg"] = part
			l.files["/grub/grub.cfg"] = []byte(strings.Join([]string{
				"serial", "terminal_output serial", "set timeout=0", c.choice,
				`menuentry "Debian" --id debian {`, "  linux /vmlinuz root=LABEL=debian", "  initrd /initrd.img", "}",
				"source /deltaup/deltaup.cfg", "",
			}, "\n"))
			d := newDisk(t, l)
			console, stub := qemu{disk: d, timeout: stubBoot}.boot(t)
			said, initrd, _ := strings.Cut(stub, "\n")
			_, args, _ := strings.Cut(said, " ") // the words behind BOOT_IMAGE
			if strings.Join(strings.Fields(args), " ") != c.args || initrd != "initrd of "+c.initrd+"\n" {
				t.Errorf("GRUB started %q with %q\n%s", said, initrd, console)
			}
			if got := d.read(t, envPath); !bytes.Equal(got, c.env) {
				t.Errorf("GRUB left %q", got)
			}
		})
	}
}
