package nospace

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"
)

func TestMark(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	once := Mark(full)
	if !errors.Is(once, Err) || !errors.Is(once, syscall.ENOSPC) {
		t.Errorf("a full disk: %v", once)
	}
	if twice := Mark(once); twice.Error() != once.Error() {
		t.Errorf("marked twice: %v", twice)
	}
	if !errors.Is(Mark(syscall.EDQUOT), Err) {
		t.Error("a quota is not marked")
	}
	if err := Mark(syscall.EIO); errors.Is(err, Err) || Mark(nil) != nil {
		t.Errorf("another error: %v", err)
	}
}
