package settings

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"deltaup/chunkstore"
)

// OpenObject opens the content of a file, or the text of a list. It has been read and compared with
// its name. Errors wrap ErrNone or ErrDamaged, or are those of the system.
func (s *Store) OpenObject(id chunkstore.ID) (io.ReadCloser, error) {
	f, err := s.object(id)
	if err != nil {
		return nil, err
	}
	return f, nil
}

func (s *Store) object(id chunkstore.ID) (*os.File, error) {
	if s.objects == nil {
		return nil, fmt.Errorf("object %s: %w", id, ErrNone)
	}
	f, err := s.objects.Open(id.String())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("object %s: %w", id, ErrNone)
	}
	if err != nil {
		return nil, kindIsDamage(err)
	}
	if err = verify(f, id); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// verify compares a file's bytes with their id.
func verify(f *os.File, id chunkstore.ID) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// A file with terabytes of holes would take hours to read.
	if info.Size() > MaxFile {
		return fmt.Errorf("object %s: %w: it has more than %d bytes", id, ErrDamaged, MaxFile)
	}
	h := chunkstore.NewHasher()
	if _, err := io.Copy(h, io.LimitReader(f, MaxFile+1)); err != nil {
		return fmt.Errorf("object %s: %w", id, err)
	}
	if h.ID() != id {
		return fmt.Errorf("object %s: %w", id, ErrDamaged)
	}
	return nil
}

// readObject gives the bytes of an object of at most limit bytes.
func (s *Store) readObject(id chunkstore.ID, limit int64) ([]byte, error) {
	f, err := s.object(id)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	return readAll(f, limit)
}

// readAll reads at most limit bytes. More are an error that wraps ErrTooMuch.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	p, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(p)) > limit {
		err = fmt.Errorf("%w: more than %d bytes", ErrTooMuch, limit)
	}
	return p, err
}

// has tells whether the store has the bytes of an object. A cut can have left the name of one whose
// bytes never reached the disk, so it reads them.
func (s *Store) has(id chunkstore.ID) bool {
	f, err := s.object(id)
	if err != nil {
		return false
	}
	f.Close() // nothing was written
	return true
}

// add makes an object of what open gives, unless the store has it. It is durable when the file
// system is synced. Bytes other than those that id names are an error, and leave no object.
func (s *Store) add(id chunkstore.ID, open func() (io.ReadCloser, error)) error {
	if s.has(id) {
		return nil
	}
	from, err := open()
	if err != nil {
		return err
	}
	defer from.Close() // nothing was written
	name := id.String()
	if err := s.remove(s.objects, name); err != nil { // a damaged one
		return err
	}
	f, err := s.objects.Create(name)
	if err != nil {
		return err
	}
	h := chunkstore.NewHasher()
	_, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(from, MaxFile+1))
	if err == nil && h.ID() != id {
		err = fmt.Errorf("object %s: its bytes have changed while they were read", id)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.remove(s.objects, name))
	}
	return nil
}
