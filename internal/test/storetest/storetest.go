// Package storetest tests any [chunkstore.Store].
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sync/errgroup"

	"deltaup/chunkstore"
)

// Open opens a store of the packs at root/packs/ab/abcd….pack, whose chunks lie at at. The suite
// changes files below root while the store is open.
type Open func(t *testing.T, root string, at map[chunkstore.ID]chunkstore.Location) chunkstore.Store

// Run runs the suite against the store that open gives.
func Run(t *testing.T, open Open) {
	t.Run("present", func(t *testing.T) { testPresent(t, open) })
	t.Run("absent", func(t *testing.T) { testAbsent(t, open) })
	t.Run("hole", func(t *testing.T) { testHole(t, open) })
	t.Run("wrong size", func(t *testing.T) { testWrongSize(t, open) })
	t.Run("damaged", func(t *testing.T) { testDamaged(t, open) })
	t.Run("cancelled", func(t *testing.T) { testCancelled(t, open) })
	t.Run("concurrent", func(t *testing.T) { testConcurrent(t, open) })
}

// stored is a folder of packs and what they hold.
type stored struct {
	root   string
	plain  [][]byte
	chunks []chunkstore.Chunk
	at     map[chunkstore.ID]chunkstore.Location
}

// pack makes a folder of several packs with chunks of all kinds: tiny, compressible, not
// compressible.
func pack(t *testing.T) *stored {
	t.Helper()
	s := &stored{root: t.TempDir(), at: map[chunkstore.ID]chunkstore.Location{}}
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 24 {
		p := make([]byte, 1+i*i*700)
		for j := range p {
			p[j] = byte(random.Uint32())
			if i%2 == 0 {
				p[j] = "content "[j%8] + byte(i)
			}
		}
		s.plain = append(s.plain, p)
		s.chunks = append(s.chunks, chunkstore.Chunk{ID: chunkstore.Sum(p), Size: int64(len(p))})
	}
	folder, err := chunkstore.OpenFolder(filepath.Join(s.root, "packs"),
		filepath.Join(s.root, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	batch := folder.NewBatch(500 << 10)
	defer batch.Abort()
	for i, c := range s.chunks {
		if err := batch.Add(c, s.plain[i]); err != nil {
			t.Fatal(err)
		}
	}
	packs, err := batch.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if len(packs) < 2 {
		t.Fatalf("the suite wants several packs, got %d", len(packs))
	}
	for _, c := range s.chunks {
		l, ok := folder.Locate(c.ID)
		if !ok {
			t.Fatalf("chunk %s was added and is not there", c.ID)
		}
		s.at[c.ID] = l
	}
	return s
}

func testPresent(t *testing.T, open Open) {
	s := pack(t)
	store := open(t, s.root, s.at)
	for i, c := range s.chunks {
		if l, ok := store.Locate(c.ID); !ok || l != s.at[c.ID] {
			t.Errorf("Locate(%s) = %v, %v; want %v", c.ID, l, ok, s.at[c.ID])
		}
		got, err := store.Chunk(t.Context(), c)
		if err != nil || !bytes.Equal(got, s.plain[i]) {
			t.Errorf("Chunk(%s): %d bytes, %v; want %d bytes", c.ID, len(got), err, c.Size)
		}
	}
}

func testAbsent(t *testing.T, open Open) {
	s := pack(t)
	store := open(t, s.root, s.at)
	c := chunkstore.Chunk{ID: chunkstore.Sum([]byte("nowhere")), Size: 7}
	if _, ok := store.Locate(c.ID); ok {
		t.Error("Locate finds a chunk that is not there")
	}
	wantError(t.Context(), t, store, c, chunkstore.ErrNotFound)
}

func testHole(t *testing.T, open Open) {
	s := pack(t)
	store := open(t, s.root, s.at)
	if _, ok := store.Locate(chunkstore.ID{}); ok {
		t.Error("Locate finds a hole")
	}
	wantError(t.Context(), t, store, chunkstore.Chunk{Size: 1 << 50}, chunkstore.ErrNotFound)
}

// testWrongSize asks for stored chunks with wrong sizes.
func testWrongSize(t *testing.T, open Open) {
	s := pack(t)
	store := open(t, s.root, s.at)
	c := s.chunks[10]
	for _, size := range []int64{-1, 0, 1, c.Size - 1, c.Size + 1, 1 << 50} {
		wantError(t.Context(), t, store, chunkstore.Chunk{ID: c.ID, Size: size},
			chunkstore.ErrCorrupt)
	}
}

// testDamaged flips a bit in each of some frames. The store must refuse these chunks and read all
// others.
func testDamaged(t *testing.T, open Open) {
	s := pack(t)
	store := open(t, s.root, s.at)
	damaged := map[int]bool{3: true, 10: true, 11: true}
	for i := range damaged {
		l := s.at[s.chunks[i].ID]
		flip(t, filepath.Join(s.root, "packs", chunkstore.PackPath(l.Pack)), l.Offset+l.Length-1)
	}
	for i, c := range s.chunks {
		if damaged[i] {
			wantError(t.Context(), t, store, c, chunkstore.ErrCorrupt)
		} else if _, err := store.Chunk(t.Context(), c); err != nil {
			t.Errorf("a sound chunk beside damaged ones: %v", err)
		}
	}
}

func testCancelled(t *testing.T, open Open) {
	s := pack(t)
	store := open(t, s.root, s.at)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantError(ctx, t, store, s.chunks[5], context.Canceled)
}

func testConcurrent(t *testing.T, open Open) {
	s := pack(t)
	store := open(t, s.root, s.at)
	readers, ctx := errgroup.WithContext(t.Context())
	for n := range 8 {
		readers.Go(func() error {
			for i := range s.chunks {
				i = (i + 3*n) % len(s.chunks)
				got, err := store.Chunk(ctx, s.chunks[i])
				if err != nil {
					return err
				}
				if !bytes.Equal(got, s.plain[i]) {
					return fmt.Errorf("chunk %d: other bytes", i)
				}
			}
			return nil
		})
	}
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
}

func wantError(ctx context.Context, t *testing.T, store chunkstore.Store, c chunkstore.Chunk,
	want error) {
	t.Helper()
	got, err := store.Chunk(ctx, c)
	if !errors.Is(err, want) {
		t.Errorf("Chunk of %d bytes: %v; want %v", c.Size, err, want)
	}
	if got != nil {
		t.Errorf("Chunk gives %d bytes with its error", len(got))
	}
}

func flip(t *testing.T, path string, offset int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 0x10
	if _, err := f.WriteAt(b[:], offset); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}
