package settings

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"deltaup/chunkstore"
	"deltaup/internal/test/effort"
)

// hostile is a store that a stranger has changed.
type hostile struct {
	*machine
	outside string // nothing here may change
	store   string
}

func (h *hostile) sh(script string) {
	h.t.Helper()
	c := exec.Command("timeout", "60", "sh", "-ec", script)
	c.Dir = h.store
	c.Env = append(os.Environ(), "OUT="+h.outside)
	if out, err := c.CombinedOutput(); err != nil {
		h.t.Fatalf("%s: %v: %.500s", script, err, out)
	}
}

// write puts text into the store, with the right hash in its last line.
func (h *hostile) write(name, body string) {
	h.t.Helper()
	h.do(os.WriteFile(filepath.Join(h.store, name), []byte(body+"end "+chunkstore.Sum([]byte(body)).String()+"\n"), 0o600))
}

// boots boots the store. It demands that this ends in time, in little memory, without a change
// outside, with the settings, with the defaults, or with an error.
func (h *hostile) boots() {
	h.t.Helper()
	before := h.see(h.outside)
	runtime.GC()
	stop := make(chan struct{})
	peak := make(chan uint64)
	go func() {
		var most uint64
		for {
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			most = max(most, s.HeapAlloc)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	start := time.Now()
	s, err := Open(h.store)
	var r *Report
	if err == nil {
		r, err = Boot(ctx, s, h.source("a"))
		s.Close()
	}
	took := time.Since(start)
	close(stop)
	most := <-peak
	if most > 128<<20 {
		h.t.Errorf("%d MiB of memory", most>>20)
	}
	if took > 30*time.Second {
		h.t.Errorf("it took %v", took)
	}
	if after := h.see(h.outside); after != before {
		h.t.Errorf("outside of the store is now\n%s\nwas\n%s", after, before)
	}
	what := "error: " + fmt.Sprint(err)
	if err == nil {
		defer r.Close()
		what = fmt.Sprintf("failure: %v; warnings: %.300q", r.Failure, r.Warnings)
		for _, p := range r.Places {
			h.mount(filepath.Join(h.dir, "a"), p)
		}
		got, err := os.ReadFile(filepath.Join(h.root, "etc/f"))
		if string(got) != "1" && string(got) != "mine" {
			h.t.Errorf("/etc/f is %.100q: %v", got, err)
		}
		for _, on := range h.up {
			h.do(unix.Unmount(on, 0))
		}
		h.up = nil
	}
	h.t.Logf("%v, %d MiB: %.400s", took.Round(time.Millisecond), most>>20, what)
}

func (h *hostile) see(dir string) string {
	h.t.Helper()
	out, err := exec.Command("sh", "-ec", "cd $0; find . -printf '%p %M %s %T@ %l\n' | sort; find . -type f -exec cat {} ';'", dir).Output()
	h.do(err)
	return string(out)
}

func TestHostileStore(t *testing.T) {
	list := chunkstore.Sum([]byte("keep /etc/\n")).String()
	gen := func(number int, lines string) string {
		return fmt.Sprintf("%s\nnumber %d\nparent 0\nimage %s\nlist %s\ntime 2026-11-30T09:03:39Z\ncause boot\nmessage \"\"\n%s",
			magic, number, imageID("a"), list, lines)
	}
	laid := func(generation, upper int, lines string) string {
		return fmt.Sprintf("%s\ngeneration %d\nimage %s\nupper %d\n%s", magicLaid, generation, imageID("a"), upper, lines)
	}
	for _, c := range []struct {
		name string
		do   func(h *hostile)
	}{
		{"store is a link", func(h *hostile) { h.sh("cp -a . ../real; cd ..; rm -r store; ln -s real store; mkdir x") }},
		{"links in place of folders", func(h *hostile) {
			h.sh("for d in generations objects defaults upper trash; do rm -rf $d; ln -s $OUT $d; done")
		}},
		{"links to files outside", func(h *hostile) { h.sh("for f in laid lock; do ln -sf $OUT/file $f; ln -sf $OUT/file $f.new; done") }},
		{"a link in place of the upper folder", func(h *hostile) { h.sh("cd upper; n=$(ls); rm -r $n; ln -s $OUT $n") }},
		{"a link in place of the place", func(h *hostile) { h.sh("cd upper/*; rm -r etc; ln -s $OUT etc") }},
		{"a link in place of upper", func(h *hostile) { h.sh("cd upper/*/etc; rm -r upper; ln -s $OUT upper") }},
		{"links in the upper folder", func(h *hostile) {
			h.sh("cd upper/*/etc/upper; ln -s $OUT d; ln -s $OUT/file e; rm -f f; ln -s / g; echo x >new")
		}},
		{"a link in place of work", func(h *hostile) { h.sh("cd upper/*/etc; rm -r work; ln -s $OUT work") }},
		{"a link in place of a generation", func(h *hostile) {
			h.sh("cd generations; ln -sf $OUT/file 1; ln -s $OUT/file 2.new; ln -s $OUT 3.new; echo x >../upper/1/etc/upper/new")
		}},
		{"folders in place of files", func(h *hostile) {
			h.sh("for f in laid laid.new lock generations/1 generations/2.new; do rm -rf $f; mkdir -p $f/x; done")
		}},
		{"pipes in place of files", func(h *hostile) {
			h.sh("for f in laid laid.new generations/1 defaults/*; do rm -rf $f; mkfifo $f; done")
		}},
		{"a pipe in place of the lock and folders", func(h *hostile) { h.sh("for f in lock objects upper; do rm -rf $f; mkfifo $f; done") }},
		{"pipes in place of objects", func(h *hostile) {
			h.sh("cd objects; for f in *; do rm $f; mkfifo $f; done; echo x >../upper/1/etc/upper/new")
		}},
		{"devices", func(h *hostile) {
			h.sh("for f in laid generations/1 objects/*; do rm -f $f; mknod $f c 1 5; done; cd upper/*/etc/upper; mknod zero c 1 5; mknod disk b 7 255; mkfifo p; mknod f2 c 0 0")
		}},
		{"nothing but garbage", func(h *hostile) {
			h.sh("for f in laid generations/1 defaults/* objects/*; do head -c 100000 /dev/urandom >$f; done")
		}},
		{"files of terabytes", func(h *hostile) {
			h.sh("for f in laid generations/1 defaults/* objects/* upper/1/etc/upper/huge; do rm -f $f; truncate -s 8T $f; done; echo x >upper/1/etc/upper/new")
		}},
		{"many files of 60 MiB", func(h *hostile) { h.sh("cd upper/*/etc/upper; for i in $(seq 30); do truncate -s 60M h$i; done") }},
		{"upper that is not there", func(h *hostile) { h.write("laid", laid(1, 77, "place \"/etc\"\n")) }},
		{"generation that is not there", func(h *hostile) { h.write("laid", laid(77, 2, "place \"/etc\"\n")) }},
		{"places upwards", func(h *hostile) { h.write("laid", laid(1, 2, "place \"/..\"\n")) }},
		{"other places", func(h *hostile) { h.write("laid", laid(1, 2, "place \"/etc\"\nplace \"/usr\"\n")) }},
		{"no places", func(h *hostile) { h.write("laid", laid(1, 1, "")) }},
		{"an image that is not there", func(h *hostile) {
			h.write("laid", strings.Replace(laid(1, 2, "place \"/etc\"\n"), imageID("a").String(), list, 1))
		}},
		{"paths upwards", func(h *hostile) {
			h.write("generations/1", gen(1, "entry \"/etc/../../../"+h.outside+"/file\" - gone\n"))
		}},
		{"paths of other places", func(h *hostile) {
			h.write("generations/1", gen(1, "entry \"/usr/bin/sh\" - gone\nentry \"/x\" - link 0 0 \"y\"\n"))
			h.sh("rm laid; rm -r upper/*")
		}},
		{"entries below files and links", func(h *hostile) {
			h.write("generations/1", gen(1, "entry \"/etc/a\" - link 0 0 \""+h.outside+"\"\nentry \"/etc/a/b\" - link 0 0 \"y\"\nentry \"/etc/dir\" - gone\nentry \"/etc/dir/x\" - folder 0755 0 0\n"))
			h.sh("rm laid; rm -r upper/*")
		}},
		{"a generation as large as it may be", func(h *hostile) {
			var b strings.Builder
			for i := range maxEntries {
				fmt.Fprintf(&b, "entry \"/etc/%05d%s\" - file 0644 0 0 %d %s\n", i, strings.Repeat("/"+strings.Repeat("x", 4), 40), 64<<20, list)
			}
			h.write("generations/1", gen(1, b.String()))
			h.sh("rm laid; rm -r upper/*")
		}},
		{"an object that lies", func(h *hostile) { h.sh("rm laid; rm -r upper/*; for f in objects/*; do echo lie >$f; done") }},
		{"a million names", func(h *hostile) {
			n := 1_000_000
			if effort.Stride() > 1 {
				n = 110_000
			}
			h.many("upper/1/etc/upper/many", n)
		}},
		{"many names in the store", func(h *hostile) { h.many("generations", 20_000); h.many("upper", 5000) }},
		{"ten thousand levels", func(h *hostile) { h.deep("upper/1/etc/upper", 10_000) }},
		{"ten thousand levels in the trash", func(h *hostile) { h.deep("trash", 10_000); h.sh("echo x >upper/1/etc/upper/new") }},
		{"marks of the kernel's", func(h *hostile) {
			h.sh("cd upper/*/etc/upper; setfattr -n trusted.overlay.redirect -v /../../.. .; mkdir r; setfattr -n trusted.overlay.redirect -v /usr r; echo >m; setfattr -n trusted.overlay.metacopy m; setfattr -n trusted.overlay.opaque -v y .")
		}},
		{"a store that is a file", func(h *hostile) { h.sh("cd ..; rm -r store; echo >store; mkdir x") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t)
			h := &hostile{machine: m, outside: filepath.Join(m.dir, "outside"), store: filepath.Join(m.dir, "store")}
			m.image("a", "keep /etc/", "keep /etc/shadow newest", "/etc/f 1", "/etc/shadow 1", "/etc/dir/g 1")
			m.do(os.MkdirAll(h.outside, 0o755), os.WriteFile(h.outside+"/file", []byte("outside"), 0o644))
			m.boot("a")
			m.edit("/etc/f mine", "/etc/mine mine", "/etc/shadow mine")
			m.boot("a")
			m.down()
			h.sh("n=$(ls upper); [ $n = 1 ] || mv upper/$n upper/1") // a number to know
			h.write("laid", laid(1, 1, "place \"/etc\"\n"))
			c.do(h)
			h.boots()
			h.boots() // and again, with what that has left
		})
	}
}

// many makes so many names in a folder of the store.
func (h *hostile) many(name string, n int) {
	h.t.Helper()
	dir := filepath.Join(h.store, name)
	h.do(os.MkdirAll(dir, 0o755))
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY, 0)
	h.do(err)
	defer unix.Close(fd)
	for i := range n {
		h.do(unix.Mknodat(fd, fmt.Sprint(10+i), unix.S_IFREG|0o600, 0))
	}
}

// deep makes so many folders in each other.
func (h *hostile) deep(name string, n int) {
	h.t.Helper()
	fd, err := unix.Open(filepath.Join(h.store, name), unix.O_DIRECTORY|unix.O_RDONLY, 0)
	h.do(err)
	for range n {
		h.do(unix.Mkdirat(fd, "d", 0o755))
		next, err := unix.Openat(fd, "d", unix.O_DIRECTORY|unix.O_RDONLY, 0)
		h.do(err, unix.Close(fd))
		fd = next
	}
	h.do(unix.Close(fd))
}
