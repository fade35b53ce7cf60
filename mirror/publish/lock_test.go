package publish_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"deltaup/internal/test/mirrortest"
	"deltaup/internal/test/publishtest"
	"deltaup/mirror"
	"deltaup/mirror/folder"
	"deltaup/mirror/publish"
)

func TestLockRefuses(t *testing.T) {
	dir := t.TempDir()
	unlock, err := folder.At(dir).Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	v1, _ := publishtest.Kernels()
	p := publishtest.Raw(t, "1", v1)
	p.NoWait = true
	if _, err := publish.Add(t.Context(), folder.At(dir), p); !errors.Is(err, mirror.ErrBusy) {
		t.Errorf("a second publisher that does not wait: %v", err)
	}
	unlock()
	publishtest.Publish(t, dir, p)
}

func TestLockWaits(t *testing.T) {
	dir := t.TempDir()
	unlock, err := folder.At(dir).Lock(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	v1, _ := publishtest.Kernels()
	p := publishtest.Raw(t, "1", v1)
	ctx, cancel := context.WithCancel(t.Context())
	p.Waiting = cancel
	if _, err := publish.Add(ctx, folder.At(dir), p); !errors.Is(err, context.Canceled) {
		t.Errorf("a publisher that is cancelled while it waits: %v", err)
	}
	var waits atomic.Int32
	p.Waiting = func() {
		waits.Add(1)
		unlock()
	}
	publishtest.Publish(t, dir, p)
	if waits.Load() != 1 {
		t.Errorf("waiting was told %d times", waits.Load())
	}
}

// TestTwoPublishers lets publishers of different versions, some of them other
// processes, work on one mirror at once.
func TestTwoPublishers(t *testing.T) {
	dir := t.TempDir()
	if version := os.Getenv("DELTAUP_TEST_PUBLISH"); version != "" {
		publishNumbered(t, os.Getenv("DELTAUP_TEST_MIRROR"), version)
		return
	}
	var wg sync.WaitGroup
	for i := range 4 {
		version := fmt.Sprint(i)
		if i%2 == 0 {
			wg.Go(func() { publishNumbered(t, dir, version) })
			continue
		}
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestTwoPublishers$", "-test.count=1")
			cmd.Env = append(os.Environ(), "DELTAUP_TEST_PUBLISH="+version, "DELTAUP_TEST_MIRROR="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("publisher %s: %v\n%s", version, err, out)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	if r := publishtest.WantSound(t, dir); r.Releases != 4 || len(r.Unreferenced) != 0 {
		t.Errorf("check reports %+v", r)
	}
	for i := range 4 {
		wantRaw(t, dir, fmt.Sprint(i), mirror.ImageName, numbered(fmt.Sprint(i)))
	}
}

// numbered is a version's bytes: half of them are those of every version.
func numbered(version string) []byte {
	return append(mirrortest.Noise(9, 300<<10), mirrortest.Noise(uint64(version[0]), 100<<10)...)
}

func publishNumbered(t *testing.T, dir, version string) {
	if _, err := publish.Add(t.Context(), folder.At(dir), publishtest.Raw(t, version, numbered(version))); err != nil {
		t.Errorf("version %s: %v", version, err)
	}
}
