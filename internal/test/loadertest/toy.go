package loadertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"sync"

	"deltaup/internal/durable"
	"deltaup/internal/plainfile"
	"deltaup/slotboot/config"
	"deltaup/slotboot/counted"
	"deltaup/slotboot/loader"
	"deltaup/slotboot/machine"
)

// Toy is a boot loader that keeps the state in one plain file, as JSON. It boots nothing;
// [Toy.Boot] says what it would start. It implements device.Loader.
type Toy struct {
	machine machine.Machine
	config  *config.Config
	mu      sync.Mutex // for changes; those of other processes are not kept out
}

// NewToy is the toy of a machine.
func NewToy(m machine.Machine, c *config.Config) *Toy { return &Toy{machine: m, config: c} }

// Path is the file that holds the state.
func (y *Toy) Path() string { return y.machine.Path(filepath.Join(y.config.State, "toy.json")) }

// Name is what people call it.
func (y *Toy) Name() string { return "Toy" }

// Read gives the state.
func (y *Toy) Read() (counted.State, error) {
	none := counted.State{Slots: y.config.Names()}
	b, err := plainfile.Read(y.Path(), 1<<16)
	if errors.Is(err, fs.ErrNotExist) {
		return none, loader.Mark(err, loader.ErrNone)
	}
	if err != nil {
		return none, err
	}
	var s counted.State
	if err := json.Unmarshal(b, &s); err != nil {
		return none, loader.Mark(fmt.Errorf("%s: %w", y.Path(), err), loader.ErrDamaged)
	}
	s.Slots = none.Slots
	return s, nil
}

// Change replaces the state.
func (y *Toy) Change(_ context.Context, t counted.Transition) (counted.State, error) {
	y.mu.Lock()
	defer y.mu.Unlock()
	s, err := y.Read()
	if err != nil {
		return s, err
	}
	return y.change(s, t)
}

func (y *Toy) change(s counted.State, t counted.Transition) (counted.State, error) {
	before, _ := json.Marshal(s) // never fails
	s, err := t(s)
	if err != nil {
		return s, err
	}
	after, _ := json.Marshal(s)
	if _, err := y.Read(); err == nil && string(before) == string(after) {
		return s, nil
	}
	return s, durable.WriteFile(y.Path()+".new", y.Path(), func(w io.Writer) error {
		_, err := w.Write(after)
		return err
	})
}

// Check permits every place that nothing else has.
func (y *Toy) Check() error {
	if _, err := y.Read(); errors.Is(err, plainfile.ErrKind) {
		return loader.Mark(err, loader.ErrForeign)
	}
	return nil
}

// Create makes the state.
func (y *Toy) Create(_ context.Context, t counted.Transition) error {
	if err := y.Check(); err != nil {
		return err
	}
	s, err := y.Read()
	if err != nil && !errors.Is(err, loader.ErrNone) && !errors.Is(err, loader.ErrDamaged) {
		return err
	}
	_, err = y.change(s, t)
	return err
}

// Setup makes the state and writes no other file.
func (y *Toy) Setup(ctx context.Context, o loader.Setup) ([]string, error) {
	for name, path := range o.Outputs {
		return nil, fmt.Errorf("%s: %w: Toy has no %s", path, loader.ErrOutput, name)
	}
	if err := y.Check(); err != nil {
		return nil, err
	}
	for _, path := range []string{filepath.Dir(y.Path()), y.Path() + ".new"} {
		if err := o.Undo.MkdirAll(path); err != nil {
			return nil, err
		}
	}
	if err := o.Undo.Keep(y.Path()); err != nil {
		return nil, err
	}
	return []string{y.Path()}, y.Create(ctx, o.First)
}

// Inspect tells whether there is a state.
func (y *Toy) Inspect(setup string) loader.Inspection {
	i := loader.Inspection{Where: y.Path()}
	if _, err := y.Read(); err != nil {
		i.State.Wrong(setup+" mends it", "%v", err)
	} else {
		i.Sound = true
		i.State.Good("%s has a state", y.Path())
	}
	return i
}

// Boot is a boot by this boot loader. Without a state that it can read it knows nothing.
func (y *Toy) Boot(loads map[string]bool) Started {
	s, err := y.Read()
	started, after := Boot(s, loads)
	if err == nil {
		y.Change(context.Background(), func(counted.State) (counted.State, error) { return after, nil })
	}
	return started
}
