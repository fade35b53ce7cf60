package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLikeGNUTar unpacks random archives with the real tar and demands the same tree from the
// archive as from the folder. It does so twice: with default options, with which tar delays links
// that are absolute or climb, and with -P in a chroot, where tar follows all links.
func TestLikeGNUTar(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can unpack owners and devices")
	}
	oracle := newTarOracle(t)
	rounds := 60
	if n, err := strconv.Atoi(os.Getenv("DELTAUP_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	var compared, inRoot, refused int
	for seed := range rounds {
		r := rand.New(rand.NewSource(int64(seed)))
		archive, list, lost := randomArchive(t, r)
		o := Options{KeepDirectorySymlink: r.Intn(3) == 0, Clamp: new(uint32), ContainerFiles: true}
		*o.Clamp = 1e9
		tr, err := FromTar(context.Background(), bytes.NewReader(archive), o)
		fail := func(format string, args ...any) {
			t.Helper()
			t.Fatalf("seed %d (keep links: %v)\n%s\n%s", seed, o.KeepDirectorySymlink, list, fmt.Sprintf(format, args...))
		}
		if err == nil {
			checkTree(t, tr)
		}
		for _, chroot := range []bool{false, true} {
			if !chroot && (lost || o.KeepDirectorySymlink && strings.Contains(list, "-> /")) {
				continue // tar does not keep a delayed link
			}
			dir, ok := oracle.unpack(t, archive, o.KeepDirectorySymlink, chroot)
			switch {
			case chroot && strings.Contains(list, "a/.."): // with -P tar would make the folder a
			case !ok && err != nil:
				refused++
			case !ok: // FromTar may complete what tar refuses
			case err != nil && chroot && strings.Contains(err.Error(), "out of the tree"):
			case err != nil:
				fail("tar unpacks it (chroot: %v), and we do not: %v", chroot, err)
			default:
				got, want := describe(t, tr), describe(t, mustRead(t, dir, o))
				if strings.Join(got, "\n") != strings.Join(want, "\n") {
					fail("chroot: %v\ngot:\n%s\nwant:\n%s", chroot, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
				compared++
				if chroot {
					inRoot++
				}
			}
			must(t, os.RemoveAll(dir))
		}
		if err == nil {
			must(t, tr.Close())
		}
	}
	t.Logf("%d archives: %d trees compared, %d of them unpacked in a root of tar's own, %d refused by both", rounds, compared, inRoot, refused)
	if compared < rounds/4 || inRoot < rounds/8 || refused == 0 {
		t.Error("the archives are too wrong or too plain to tell anything")
	}
}

// randomArchive makes a small archive whose names often collide, and a list of its entries. lost
// says that another entry replaces a link that tar delays: when the file system reuses the inode
// number for that entry, tar makes the link all the same.
func randomArchive(t *testing.T, r *rand.Rand) (archive []byte, list string, lost bool) {
	pick := func(from ...string) string { return from[r.Intn(len(from))] }
	leaf := func() string {
		return pick("a/x", "a/y", "b/x", "l/x", "l/x", "m/x", "l/m/y", "c/l/x", "c/l/x", "a/b/x", "x", "a", "l", "b", "a/"+strings.Repeat("long", 30)+"/"+strings.Repeat("x", 130))
	}
	folder := func() string { return pick("a", "b", "c", "a/b", "l", "l", "m", "c/l", "l/d") }
	link := func() string { return pick("l", "l", "m", "c/l", "c/l", "a/l", "b") }
	targets := []string{"a", "a", "b", "b", "a/b", "m", "../a", "../b", "/a", "/a/b", "/l", "b/../a", ".", "..", "../..", "nowhere", "/nowhere", "./a//b"}
	// One prefix for all names: of a folder that is listed under two spellings tar may take the
	// older attributes.
	prefix := pick("", "", "./", "/", ".//")
	earlier := []string{"x"} // names of files for hard links
	putOff := make(map[string]bool)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for n := range 3 + r.Intn(9) {
		h := &tar.Header{Name: leaf(), Mode: int64(r.Intn(0o10000)), Uid: r.Intn(3) * 70000, Gid: r.Intn(3), ModTime: time.Unix(int64(r.Intn(1e9)), 0)}
		h.Format = []tar.Format{tar.FormatUSTAR, tar.FormatPAX, tar.FormatGNU}[r.Intn(3)]
		content := ""
		kind := r.Intn(12)
		if n < 2 && r.Intn(4) > 0 {
			kind = 0
		}
		switch kind {
		case 0, 1, 2:
			h.Typeflag, h.Name = tar.TypeDir, folder()+"/"
		case 3, 4, 5:
			h.Typeflag, h.Linkname = tar.TypeSymlink, targets[r.Intn(len(targets))]
			h.Name = link()
		case 6, 7:
			h.Typeflag, h.Linkname = tar.TypeLink, pick(earlier...)
		case 8:
			h.Typeflag, h.Devmajor, h.Devminor = tar.TypeChar, 1, 3
		case 9:
			h.Typeflag = tar.TypeFifo
		default:
			h.Typeflag, content = tar.TypeReg, strings.Repeat("x", r.Intn(700))
			earlier = append(earlier, h.Name, h.Name)
			if h.Format == tar.FormatPAX && r.Intn(2) == 0 {
				h.PAXRecords = map[string]string{"SCHILY.xattr.user.k": strings.Repeat("v", r.Intn(4))}
			}
		}
		h.Name = prefix + h.Name
		if r.Intn(40) == 0 {
			h.Name = "a/../" + h.Name
		}
		if len(h.Name)+len(h.Linkname) > 99 && h.Format == tar.FormatUSTAR {
			h.Format = tar.FormatPAX
		}
		lost = lost || putOff[strings.TrimSuffix(h.Name, "/")]
		if h.Typeflag == tar.TypeSymlink && (strings.HasPrefix(h.Linkname, "/") || strings.Contains(h.Linkname, "..")) {
			putOff[h.Name] = true
		}
		h.Size = int64(len(content))
		if r.Intn(15) == 0 {
			must(t, w.Flush())
			writeGlobal(t, &b, map[string]string{"mtime": "12345.6", "comment": "x", "uid": []string{"7", ""}[r.Intn(2)]})
			list += "global header\n"
		}
		must(t, w.WriteHeader(h))
		_, err := io.WriteString(w, content)
		must(t, err)
		list += fmt.Sprintf("%c %.60s -> %s %o %d:%d %d\n", h.Typeflag, h.Name, h.Linkname, h.Mode, h.Uid, h.Gid, h.ModTime.Unix())
	}
	must(t, w.Close())
	return b.Bytes(), list, lost
}

// writeGlobal writes a pax header for all entries that follow. archive/tar's writer refuses empty
// values, which remove a record.
func writeGlobal(t testing.TB, out *bytes.Buffer, records map[string]string) {
	t.Helper()
	var body string
	for key, value := range records {
		line := fmt.Sprintf(" %s=%s\n", key, value)
		n := len(line) + 1
		for n < len(line)+len(strconv.Itoa(n)) {
			n++
		}
		body += strconv.Itoa(n) + line
	}
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	must(t, w.WriteHeader(&tar.Header{Name: "g", Typeflag: tar.TypeReg, Size: int64(len(body)), Format: tar.FormatUSTAR}))
	_, err := io.WriteString(w, body)
	must(t, err, w.Flush())
	b.Bytes()[156] = tar.TypeXGlobalHeader
	setChecksum(b.Bytes()[:blockSize])
	out.Write(b.Bytes())
}

// tarOracle is the real tar, with the files that it needs in a chroot.
type tarOracle struct {
	tar    string
	loader string   // dynamic loader of programs
	files  []string // libraries
	copies string
}

func newTarOracle(t *testing.T) *tarOracle {
	o := &tarOracle{tar: tool(t, "tar")}
	if version := string(run(t, "tar", "--version")); !strings.Contains(version, "GNU tar") {
		t.Skipf("tar is %.20s", version)
	}
	for line := range strings.Lines(string(run(t, "ldd", o.tar))) {
		for _, word := range strings.Fields(line) {
			if !strings.HasPrefix(word, "/") {
				continue
			}
			if strings.Contains(word, "/ld-") || strings.Contains(word, "/ld.") {
				o.loader = word
			} else {
				o.files = append(o.files, word)
			}
		}
	}
	return o
}

// copyTo makes hard links to copies of all files that tar needs.
func (o *tarOracle) copyTo(t *testing.T, dir string) {
	if o.copies == "" {
		o.copies = t.TempDir()
		for _, file := range append(o.files, o.tar, o.loader) {
			run(t, "cp", "-L", file, o.copies)
		}
	}
	must(t, os.Mkdir(dir, 0o755))
	for _, file := range append(o.files, o.tar, o.loader) {
		must(t, os.Link(filepath.Join(o.copies, filepath.Base(file)), filepath.Join(dir, filepath.Base(file))))
	}
}

const oracleDir = ".oracle" // folder of tar's files in the chroot

// unpack unpacks an archive into a new folder. ok says that tar succeeded.
func (o *tarOracle) unpack(t *testing.T, archive []byte, keep, chroot bool) (dir string, ok bool) {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	must(t, err, os.Chmod(dir, 0o755))
	args := []string{"--numeric-owner", "--delay-directory-restore", "--xattrs", "--xattrs-include=*", "-xpf", "-"}
	if keep {
		args = append(args, "--keep-directory-symlink")
	}
	cmd := exec.Command(o.tar, append(args, "-C", dir)...)
	if chroot {
		o.copyTo(t, filepath.Join(dir, oracleDir))
		cmd = exec.Command("/"+filepath.Join(oracleDir, filepath.Base(o.loader)),
			append([]string{"--library-path", "/" + oracleDir, "/" + filepath.Join(oracleDir, filepath.Base(o.tar)), "-P"}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
		cmd.Dir = "/"
	}
	cmd.Stdin = bytes.NewReader(archive)
	cmd.Env = []string{"LC_ALL=C"}
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatalf("tar: %v\n%s", err, out)
	}
	if chroot {
		var st unix.Stat_t
		must(t, unix.Stat(dir, &st), os.RemoveAll(filepath.Join(dir, oracleDir)),
			unix.UtimesNanoAt(unix.AT_FDCWD, dir, []unix.Timespec{st.Atim, st.Mtim}, 0))
	}
	return dir, err == nil
}
