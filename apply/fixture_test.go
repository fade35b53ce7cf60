package apply_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"deltaup/apply"
	"deltaup/chunkstore"
	"deltaup/internal/faultserver"
	"deltaup/mirror"
	"deltaup/mkimage"
	"deltaup/mkimage/tree"
	"deltaup/slotboot"
)

// world is two releases of a small system on a mirror. It is made once and never changed.
type world struct {
	dir    string // a folder for everything
	mirror string
	tree   string    // folder that the first image was made of
	image  [2]string // of versions 1 and 2
	kernel [2]string
}

var (
	makeWorld  sync.Once
	theWorld   world
	worldError error
)

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	// Everything here is synced again and again; on a busy disk nothing else would take time.
	if dir, err := os.MkdirTemp("/dev/shm", "deltaup-apply"); err == nil {
		defer os.RemoveAll(dir)
		os.Setenv("TMPDIR", dir)
	}
	defer func() {
		os.RemoveAll(theWorld.dir)
		for _, w := range patchedWorlds.made {
			os.RemoveAll(w.dir)
		}
	}()
	return m.Run()
}

func newWorld(t testing.TB) *world {
	t.Helper()
	makeWorld.Do(func() { worldError = theWorld.make() })
	if worldError != nil {
		t.Fatal(worldError)
	}
	return &theWorld
}

func (w *world) make() (err error) {
	if w.dir, err = os.MkdirTemp("", "deltaup-apply"); err != nil {
		return err
	}
	w.mirror = filepath.Join(w.dir, "mirror")
	w.tree = filepath.Join(w.dir, "tree1")
	for i := range w.image {
		w.kernel[i] = filepath.Join(w.dir, fmt.Sprintf("vmlinuz-%d", i+1))
		if err := os.WriteFile(w.kernel[i], kernel(i), 0o644); err != nil {
			return err
		}
		w.image[i], err = w.release(i+1, system(i+1), mirror.Publication{
			Compatible: "board-a", PackSize: 512 << 10, Artifacts: []mirror.File{{Name: "kernel", Path: w.kernel[i]}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// release makes an image of files and publishes it as p says. It gives the image's path.
func (w *world) release(version int, files map[string][]byte, p mirror.Publication) (image string, err error) {
	folder := filepath.Join(w.dir, fmt.Sprintf("tree%d", version))
	for name, content := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", err
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return "", err
		}
	}
	p.Image = filepath.Join(w.dir, fmt.Sprintf("v%d.squashfs", version))
	if err := makeImage(folder, p.Image); err != nil {
		return "", err
	}
	p.Version, p.Channel = fmt.Sprint(version), "stable"
	got, err := mirror.Publish(context.Background(), w.mirror, p)
	if err == nil && len(got.Warnings) > 0 {
		err = errors.New(got.Warnings[0])
	}
	return p.Image, err
}

// system is the files of a version: large ones that change in places, small ones that are much alike.
func system(version int) map[string][]byte {
	files := map[string][]byte{}
	for i := range 6 {
		content := noise(uint64(i), 400<<10+i<<10)
		if version == 2 && i < 3 {
			copy(content[100<<10:], noise(uint64(100+i), 20<<10)) // changed in place
		}
		files[fmt.Sprintf("usr/lib/lib%d.so", i)] = content
	}
	for i := range 300 {
		text := strings.Repeat(fmt.Sprintf("option %d of the service is documented here\n", i), 60)
		if version == 2 && i%10 == 0 {
			text += "and changed in version 2\n"
		}
		files[fmt.Sprintf("etc/service%d.conf", i)] = []byte(text)
	}
	files["var/lib/sparse"] = make([]byte, 1<<20)
	files["usr/bin/new"] = noise(uint64(200+version), 700<<10)
	return files
}

func kernel(i int) []byte {
	k := noise(300, 900<<10)
	copy(k[500<<10:], noise(uint64(301+i), 30<<10))
	return k
}

// noise does not compress, so that fetched bytes are easy to reckon with.
func noise(seed uint64, n int) []byte {
	p := make([]byte, n)
	rnd := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	rnd.Read(p)
	return p
}

func makeImage(folder, image string) error {
	ctx := context.Background()
	clamp := uint32(1_700_000_000)
	t, err := tree.FromFolder(ctx, folder, tree.Options{Owner: &tree.Owner{}, Clamp: &clamp})
	if err != nil {
		return err
	}
	defer t.Close()
	r, src, err := mkimage.NewRecipe(ctx, t, mkimage.Options{Level: "better"})
	if err != nil {
		return err
	}
	out, err := os.Create(image)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := mkimage.Build(ctx, r, src, out, mkimage.BuildOptions{}); err != nil {
		return err
	}
	var b bytes.Buffer
	if _, err := r.WriteTo(&b); err != nil {
		return err
	}
	return os.WriteFile(image+".recipe", b.Bytes(), 0o644)
}

// target is one machine with its slot and its state folder, and the server that it pulls from.
type target struct {
	t      testing.TB
	w      *world
	server *faultserver.Server
	urls   []string // default: the server
	seeds  []string // default: a copy of version 1's image
	path   string   // of the slot
	state  string
	wrap   func(*slotboot.Slot) apply.Slot // what becomes of the slot; nil: nothing
	with   func(*apply.Request)            // last changes; may be nil

	warnings []string
	before   chunkstore.ID // of the seed
}

func newTarget(t testing.TB) *target { return newTargetOf(t, newWorld(t)) }

func newTargetOf(t testing.TB, w *world) *target {
	t.Helper()
	dir := t.TempDir()
	m := &target{
		t: t, w: w, server: faultserver.New(t, mirror.Handler(w.mirror)),
		path: filepath.Join(dir, "slot"), state: filepath.Join(dir, "state"),
		seeds: []string{filepath.Join(dir, "seed")},
	}
	m.urls = []string{m.server.URL}
	if err := os.WriteFile(m.seeds[0], readFile(t, w.image[0]), 0o644); err != nil {
		t.Fatal(err)
	}
	m.before = chunkstore.Sum(readFile(t, m.seeds[0]))
	seed := m.seeds[0]
	t.Cleanup(func() {
		if chunkstore.Sum(readFile(t, seed)) != m.before {
			t.Error("the seed was changed")
		}
	})
	return m
}

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// start prepares a pull; done closes what it opened.
func (m *target) start() (u *apply.Update, done func(), err error) {
	m.t.Helper()
	client, err := mirror.NewClient(m.urls, mirror.ClientOptions{
		Timeout: 700 * time.Millisecond, Retries: 2, RetryDelay: time.Millisecond,
	})
	if err != nil {
		m.t.Fatal(err)
	}
	slot, err := slotboot.Open(m.path, slotboot.Options{})
	if err != nil {
		return nil, nil, err
	}
	r := apply.Request{
		Client: client, Channel: "stable", Seeds: m.seeds, Slot: slot, StateDir: m.state,
		Events: func(e apply.Event) {
			if e.Warning != "" {
				m.warnings = append(m.warnings, e.Warning)
			}
		},
	}
	if m.wrap != nil {
		r.Slot = m.wrap(slot)
	}
	if m.with != nil {
		m.with(&r)
	}
	u, err = apply.Prepare(m.t.Context(), r)
	if err != nil {
		slot.Close()
		return nil, nil, err
	}
	return u, func() {
		if err := errors.Join(u.Close(), slot.Close()); err != nil {
			m.t.Error(err)
		}
	}, nil
}

func (m *target) pull() (apply.Quote, apply.Result, error) {
	m.t.Helper()
	u, done, err := m.start()
	if err != nil {
		return apply.Quote{}, apply.Result{}, err
	}
	defer done()
	result, err := u.Run(m.t.Context())
	return u.Quote(), result, err
}

// mustPull pulls and checks that the slot then holds version 2's image.
func (m *target) mustPull() (apply.Quote, apply.Result) {
	m.t.Helper()
	q, r, err := m.pull()
	if err != nil {
		m.t.Fatalf("pull: %v", err)
	}
	m.checkSlot(m.w.image[1])
	return q, r
}

func (m *target) checkSlot(image string) {
	m.t.Helper()
	want := readFile(m.t, image)
	got := readFile(m.t, m.path)
	if len(got) > len(want) {
		got = got[:len(want)] // a device may be larger
	}
	if !bytes.Equal(got, want) {
		m.t.Fatal("the slot does not hold the published image")
	}
}

// checkUnbootable checks that a failed pull left nothing that could be mounted.
func (m *target) checkUnbootable() {
	m.t.Helper()
	f, err := os.Open(m.path)
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		m.t.Fatal(err)
	}
	if !bytes.Equal(head[:n], make([]byte, n)) {
		m.t.Error("the slot has a superblock after a failed pull")
	}
}
